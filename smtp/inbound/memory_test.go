package inbound

import (
	"bytes"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSizeOfMessagesDoesNotShowInMemory(t *testing.T) {
	const messages, size, limit = 8, 12 << 20, 40 << 20
	_, r := open(t, nil)
	line := append(bytes.Repeat([]byte("x"), 76), '\r', '\n')
	block := bytes.Repeat(line, 1000)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				runtime.ReadMemStats(&now)
				peak.Store(max(peak.Load(), now.HeapInuse))
			}
		}
	}()
	var wg sync.WaitGroup
	for range messages {
		wg.Go(func() {
			c, err := r.Dial("")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n")
			for sent := 0; sent < size; sent += len(block) {
				if _, err := c.Write(block); err != nil {
					t.Error(err)
					return
				}
			}
			io.WriteString(c, ".\r\nQUIT\r\n")
			b, err := io.ReadAll(c)
			if err != nil || !bytes.Contains(b, []byte("\r\n250 2.0.0 ")) {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
	wg.Wait()
	close(stop)
	if got := peak.Load(); got > before.HeapInuse+limit {
		t.Errorf("heap grew from %d to %d MiB", before.HeapInuse>>20, got>>20)
	}
	t.Logf("heap from %d to %d MiB", before.HeapInuse>>20, peak.Load()>>20)
}
