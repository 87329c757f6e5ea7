package world

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
)

// Ports that no kernel hands out by itself: those that Linux takes for
// connections and for port 0 begin at 32768.
const firstPort, lastPort = 10_000, 32_000

// FreePorts finds n ports of 127.0.0.1, free for UDP and for TCP, for another
// program that binds them later and perhaps again and again. Ports that the
// kernel chose could meanwhile go to any connection of this machine.
func FreePorts(n int) ([]int, error) {
	var held []io.Closer // until all are found, so that they differ
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	var ports []int
	var last error
	for tries := 0; len(ports) < n; tries++ {
		if tries == 100*n {
			return nil, fmt.Errorf("find a free port of loopback: %w", last)
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		var pc, l io.Closer
		if pc, last = net.ListenPacket("udp", address); last != nil {
			continue
		}
		held = append(held, pc)
		if l, last = net.Listen("tcp", address); last != nil {
			continue
		}
		held, ports = append(held, l), append(ports, port)
	}
	return ports, nil
}
