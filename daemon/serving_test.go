package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"onoma/dns"
)

// TestNobodyIsToldTooSoon: a secondary that is told before this server answers would come at once and find nobody.
func TestNobodyIsToldTooSoon(t *testing.T) {
	secondary, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer secondary.Close()
	r := newRig(t, fmt.Sprintf("zones:\n  example.com: {file: DIR/example.com, notify: [%q]}\n", secondary.LocalAddr()), "example.com")
	told := func(wait time.Duration) error {
		_ = secondary.SetReadDeadline(time.Now().Add(wait))
		msg := make([]byte, 512)
		for {
			n, err := secondary.Read(msg)
			if err != nil || n > 2 && dns.Opcode(msg[2]>>3&15) == dns.OpcodeNotify {
				return err
			} // else it is asked what it serves
		}
	}
	if err := told(100 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("before Serving: %v, expected no NOTIFY", err)
	}
	r.Serving()
	if err := told(10 * time.Second); err != nil {
		t.Errorf("after Serving: %v, expected a NOTIFY", err)
	}
}
