package demo

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailstead/web/autoconfig"
)

// TestPages looks at the pages with a real browser, on a telephone and at a desk,
// by day and by night, and signs in and has the doctor look with script switched
// off. MAILSTEAD_CHROMIUM names the browser; with MAILSTEAD_PICTURES set it keeps
// a picture of each in that folder.
func TestPages(t *testing.T) {
	program := os.Getenv("MAILSTEAD_CHROMIUM")
	if program == "" {
		t.Skip("MAILSTEAD_CHROMIUM names no browser")
	}
	d, err := Start(t.Context(), Options{Data: t.TempDir(), Version: "the demo"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	site := "https://" + d.App.Addr("https").String()
	c := startChromium(t, program)
	views := []struct {
		name          string
		width, height int
		phone         bool
		colours       string
	}{
		{"phone-light", 390, 844, true, "light"}, {"phone-dark", 390, 844, true, "dark"},
		{"desk-light", 1280, 900, false, "light"}, {"desk-dark", 1280, 900, false, "dark"},
	}
	look := func(page string, prepare func()) {
		t.Helper()
		for _, v := range views {
			c.look(v.width, v.height, v.phone, v.colours)
			prepare()
			if got := c.width(); got > float64(v.width) {
				t.Errorf("%s, %s: %v wide, which is more than %d", page, v.name, got, v.width)
			}
			keep(t, page+"-"+v.name, c.picture())
		}
		c.look(390, 844, true, "light")
	}
	c.look(390, 844, true, "light")

	// All of it works without script.
	c.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	c.open(site + "/")
	look("sign-in", func() {})
	c.write("input[name=address]", d.People[0].Address)
	c.write("input[name=password]", "not the password")
	c.forget()
	c.press("Enter", 13)
	c.wait()
	if text := c.html("#trouble"); !strings.Contains(text, "The address or the password is wrong.") {
		t.Fatalf("after a wrong password: %s", c.html("main"))
	}
	c.unsay("401") // the browser tells of the status
	c.write("input[name=password]", d.People[0].Password)
	c.forget()
	c.press("Enter", 13)
	c.wait()
	if !strings.Contains(c.html("main"), "Nobody has looked yet") {
		t.Fatalf("after signing in: %s", c.html("main"))
	}
	c.forget()
	c.click("form[action='/admin/look'] button")
	for c.wait(); strings.Contains(c.html("main"), "The doctor is looking"); {
		c.wait() // the page loads itself again
	}
	if c.html("form[action='/admin/look']") == "" || c.html("#main .list .light") == "" {
		t.Fatalf("the doctor has found nothing: %s", c.html("main"))
	}
	if c.html("button[data-copy]:not([hidden])") != "" {
		t.Error("a button that needs script is shown without")
	}
	look("status", func() {})

	c.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	c.open(site + "/admin")
	if c.html("button[data-copy]:not([hidden])") == "" {
		t.Error("with script there are no buttons to copy")
	}
	c.click("section[id^='records-'] summary")
	look("records", func() {
		c.call("Runtime.evaluate", map[string]any{"expression": `document.querySelector("section[id^='records-']").scrollIntoView()`}, nil)
	})
	c.open(site + autoconfig.PagePath + "?address=" + d.People[0].Address)
	for i := range strings.Count(c.html("main"), "<summary>") {
		c.call("Runtime.evaluate", map[string]any{"expression": fmt.Sprintf("document.querySelectorAll('summary')[%d].click()", i)}, nil)
	}
	look("programs", func() {})
	c.forget()
	c.click("form[action='/sign-out'] button")
	c.wait()
	c.open(site + "/admin")
	if c.html("input[name=password]") == "" {
		t.Errorf("after signing out: %s", c.html("main"))
	}
	for _, line := range c.heard() {
		t.Errorf("the browser says: %s", line)
	}
}

// keep writes a picture with the fewest bytes that it can have.
func keep(t *testing.T, name string, picture []byte) {
	t.Helper()
	dir := os.Getenv("MAILSTEAD_PICTURES")
	if dir == "" {
		return
	}
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, fewColours(img)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fewColours draws a picture with the 64 colours that it has most of: pages are
// flat, and what is between them is the edge of a letter.
func fewColours(img image.Image) *image.Paletted {
	area, count := img.Bounds(), map[color.Color]int{}
	for y := range area.Dy() {
		for x := range area.Dx() {
			count[img.At(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	few := image.NewPaletted(area, color.Palette(most[:min(64, len(most))]))
	nearest := map[color.Color]uint8{}
	for y := range area.Dy() {
		for x := range area.Dx() {
			at := img.At(x, y)
			if _, known := nearest[at]; !known {
				nearest[at] = uint8(few.Palette.Index(at))
			}
			few.SetColorIndex(x, y, nearest[at])
		}
	}
	return few
}
