package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// chromium is a browser without a window, spoken to over a pair of pipes in the
// Chrome DevTools Protocol: objects of JSON, each ended by a zero byte.
type chromium struct {
	*testing.T
	to      io.Writer
	session string

	mu      sync.Mutex
	last    int64
	waiting map[int64]chan answer
	loaded  chan struct{} // a word for each page that has loaded
	told    []string      // what the console, the policy and the network said
	ended   error
}

type answer struct {
	ID        int64           `json:"id"`
	Method    string          `json:"method"`
	SessionID string          `json:"sessionId"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// browserTime is how long the browser has for anything.
const browserTime = 60 * time.Second

// startChromium starts it with one empty page.
func startChromium(t *testing.T, program string) *chromium {
	t.Helper()
	ours, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--font-render-hinting=none", "--ignore-certificate-errors", "--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4
	cmd.Env = append(os.Environ(), "TZ=UTC", "LANG=C.UTF-8")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	c := &chromium{T: t, to: to, waiting: map[int64]chan answer{}, loaded: make(chan struct{}, 1000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(ours)
	}()
	t.Cleanup(func() {
		c.send("", "Browser.close", nil)
		timer := time.AfterFunc(browserTime, func() { cmd.Process.Kill() })
		cmd.Wait()
		timer.Stop()
		_ = os.RemoveAll(profile) // its helpers may write a last word: no reason to fail
		to.Close()
		ours.Close()
		<-read
	})
	var target struct {
		TargetID string `json:"targetId"`
	}
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	c.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "DOM"} {
		c.call(domain+".enable", nil, nil)
	}
	return c
}

// read hands out what comes, until the browser ends.
func (c *chromium) read(from io.Reader) {
	in := bufio.NewReader(from)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ended = errors.New("the browser has ended")
			for _, w := range c.waiting {
				close(w)
			}
			c.waiting = nil
			return
		}
		var a answer
		if err := json.Unmarshal(text[:len(text)-1], &a); err != nil {
			continue
		}
		if a.ID == 0 {
			c.event(a)
			continue
		}
		c.mu.Lock()
		w := c.waiting[a.ID]
		delete(c.waiting, a.ID)
		c.mu.Unlock()
		if w != nil {
			w <- a
		}
	}
}

// event notes pages that have loaded and everything that a healthy page has not.
func (c *chromium) event(a answer) {
	tell := func(format string, args ...any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told = append(c.told, fmt.Sprintf(format, args...))
	}
	switch a.Method {
	case "Page.loadEventFired":
		c.loaded <- struct{}{}
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown":
		tell("%s: %s", a.Method, a.Params)
	case "Log.entryAdded":
		var p struct {
			Entry struct{ Source, Level, Text, URL string }
		}
		json.Unmarshal(a.Params, &p)
		if e := p.Entry; e.Level != "info" && e.Level != "verbose" {
			tell("%s %s: %s (%s)", e.Source, e.Level, e.Text, e.URL)
		}
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		json.Unmarshal(a.Params, &p)
		if u := p.Request.URL; !strings.HasPrefix(u, "https://127.0.0.1:") && !strings.HasPrefix(u, "about:") {
			tell("a request to %s", u)
		}
	}
}

func (c *chromium) send(session, method string, params any) (chan answer, error) {
	w := make(chan answer, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return nil, c.ended
	}
	c.last++
	c.waiting[c.last] = w
	message := map[string]any{"id": c.last, "method": method}
	if params != nil {
		message["params"] = params
	}
	if session != "" {
		message["sessionId"] = session
	}
	text, err := json.Marshal(message)
	if err == nil {
		_, err = c.to.Write(append(text, 0))
	}
	return w, err
}

// call asks the browser for something and waits.
func (c *chromium) call(method string, params map[string]any, out any) {
	c.Helper()
	w, err := c.send(c.session, method, params)
	if err != nil {
		c.Fatalf("%s: %v", method, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), browserTime)
	defer cancel()
	select {
	case a, ok := <-w:
		switch {
		case !ok:
			c.Fatalf("%s: the browser has ended", method)
		case a.Error != nil:
			c.Fatalf("%s: %s", method, a.Error.Message)
		case out != nil:
			if err := json.Unmarshal(a.Result, out); err != nil {
				c.Fatalf("%s: %v", method, err)
			}
		}
	case <-ctx.Done():
		c.Fatalf("%s: no answer", method)
	}
}

// open goes to an address and waits until it has loaded.
func (c *chromium) open(url string) {
	c.Helper()
	c.forget()
	var went struct{ ErrorText string }
	c.call("Page.navigate", map[string]any{"url": url}, &went)
	if went.ErrorText != "" {
		c.Fatalf("%s: %s", url, went.ErrorText)
	}
	c.wait()
}

// forget drops the words of pages that loaded before.
func (c *chromium) forget() {
	for {
		select {
		case <-c.loaded:
		default:
			return
		}
	}
}

// wait waits for the next page.
func (c *chromium) wait() {
	c.Helper()
	select {
	case <-c.loaded:
	case <-time.After(browserTime):
		c.Fatal("the page does not load")
	}
}

// node finds the first element of a selector, 0 for none.
func (c *chromium) node(selector string) int {
	c.Helper()
	var doc struct{ Root struct{ NodeID int } }
	c.call("DOM.getDocument", map[string]any{"depth": 0}, &doc)
	var found struct{ NodeID int }
	c.call("DOM.querySelector", map[string]any{"nodeId": doc.Root.NodeID, "selector": selector}, &found)
	return found.NodeID
}

// html is an element's own, "" for none. It is asked in one go, because a page may
// be on its way out.
func (c *chromium) html(selector string) string {
	c.Helper()
	var got struct {
		Result           struct{ Value string }
		ExceptionDetails json.RawMessage
	}
	c.call("Runtime.evaluate", map[string]any{
		"expression": fmt.Sprintf("document.querySelector(%q)?.outerHTML ?? ''", selector), "returnByValue": true,
	}, &got)
	if got.ExceptionDetails != nil {
		c.Fatalf("%s: %s", selector, got.ExceptionDetails)
	}
	return got.Result.Value
}

// write puts text into a field as a person does.
func (c *chromium) write(selector, text string) {
	c.Helper()
	c.call("DOM.focus", map[string]any{"nodeId": c.node(selector)}, nil)
	c.call("Input.insertText", map[string]any{"text": text}, nil)
}

// press presses a key in the element that has the focus.
func (c *chromium) press(key string, code int) {
	c.Helper()
	text := ""
	if key == "Enter" {
		text = "\r"
	}
	for _, kind := range []string{"keyDown", "keyUp"} {
		c.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}, nil)
		text = ""
	}
}

// look sets the size of the window and the colours that the person prefers.
func (c *chromium) look(width, height int, phone bool, colours string) {
	c.Helper()
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}, nil)
	c.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": colours}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil)
}

// width is how wide what the page shows is.
func (c *chromium) width() float64 {
	c.Helper()
	var m struct{ CSSContentSize struct{ Width float64 } }
	c.call("Page.getLayoutMetrics", nil, &m)
	return m.CSSContentSize.Width
}

// picture is what the window shows, a PNG.
func (c *chromium) picture() []byte {
	c.Helper()
	var shot struct{ Data []byte }
	c.call("Page.captureScreenshot", map[string]any{"format": "png", "optimizeForSpeed": false}, &shot)
	return shot.Data
}

// click clicks into the middle of an element.
func (c *chromium) click(selector string) {
	c.Helper()
	n := c.node(selector)
	if n == 0 {
		c.Fatalf("there is no %s to click", selector)
	}
	c.call("DOM.scrollIntoViewIfNeeded", map[string]any{"nodeId": n}, nil)
	var box struct{ Model struct{ Content []float64 } }
	c.call("DOM.getBoxModel", map[string]any{"nodeId": n}, &box)
	q := box.Model.Content
	x, y := (q[0]+q[4])/2, (q[1]+q[5])/2
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		c.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}, nil)
	}
}

// heard is what the browser complained of.
func (c *chromium) heard() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told
}

// unsay drops complaints that were meant to come.
func (c *chromium) unsay(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var rest []string
	for _, line := range c.told {
		if !strings.Contains(line, text) {
			rest = append(rest, line)
		}
	}
	c.told = rest
}
