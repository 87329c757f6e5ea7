package webui

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast holds WCAG 2.2, level AA, in both schemes: 4.5 for text (1.4.3), 3
// for edges of what can be used and for signs (1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	b, err := assetFiles.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(b), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("there is no dark scheme")
	}
	dark, _, _ = strings.Cut(dark, "\n}\n")
	for scheme, colours := range map[string]map[string]float64{"light": luminances(t, light), "dark": luminances(t, dark)} {
		for _, tt := range []struct {
			front, behind string
			least         float64
		}{
			{"text", "ground", 4.5}, {"text", "sheet", 4.5}, {"text", "sunk", 4.5},
			{"soft", "ground", 4.5}, {"soft", "sheet", 4.5},
			{"accent", "ground", 4.5}, {"accent", "sheet", 4.5}, {"on-accent", "accent", 4.5},
			{"ok", "sheet", 4.5}, {"warning", "sheet", 4.5}, {"problem", "sheet", 4.5}, {"info", "sheet", 4.5},
			{"problem", "sunk", 3}, {"edge", "sheet", 3},
		} {
			a, b := colours[tt.front], colours[tt.behind]
			if got := (math.Max(a, b) + .05) / (math.Min(a, b) + .05); got < tt.least {
				t.Errorf("%s: %s on %s has %.2f, wanted %.1f", scheme, tt.front, tt.behind, got, tt.least)
			}
		}
	}
}

// luminances reads the colours of a scheme as WCAG's relative luminance.
func luminances(t *testing.T, css string) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2});`).FindAllStringSubmatch(css, -1) {
		var sum float64
		for i, weight := range []float64{.2126, .7152, .0722} {
			n, err := strconv.ParseUint(m[2+i], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(n) / 255
			if c <= .04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		all[m[1]] = sum
	}
	if len(all) < 12 {
		t.Fatalf("colours %v", all)
	}
	return all
}
