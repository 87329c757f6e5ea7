package demo

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	look := func(page string) {
		t.Helper()
		for _, v := range views {
			c.look(v.width, v.height, v.phone, v.colours)
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
	look("sign-in")
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
	if c.node("form[action='/admin/look']") == 0 || c.node("#main .light.problem, #main .light.warning, #main .light.ok") == 0 {
		t.Fatalf("the doctor has found nothing: %s", c.html("main"))
	}
	if c.node("button[data-copy]:not([hidden])") != 0 {
		t.Error("a button that needs script is shown without")
	}
	look("status")

	c.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	c.open(site + "/admin")
	if c.node("button[data-copy]:not([hidden])") == 0 {
		t.Error("with script there are no buttons to copy")
	}
	c.click("section[id^='records-'] summary")
	c.call("DOM.scrollIntoViewIfNeeded", map[string]any{"nodeId": c.node("section[id^='records-'] .list li")}, nil)
	look("records")
	c.forget()
	c.click("form[action='/sign-out'] button")
	c.wait()
	c.open(site + "/admin")
	if c.node("input[name=password]") == 0 {
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
	fmt.Printf("%s: %d bytes\n", name, b.Len())
}

func fewColours(img image.Image) image.Image { return img }
