package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"onoma/transport"
)

// listening are the flags of every verb that serves.
type listening struct {
	Listen  []endpoint `required:"" placeholder:"ADDR:PORT" help:"Serve UDP and TCP on this address; several with commas, or the flag again."`
	Threads int        `placeholder:"N" help:"UDP loops for each address, each tied to a CPU; for a machine that does nothing else. Without it one loop shares the CPUs with others."`
}

// serve answers by h until the context ends. On SIGHUP it calls reload, if there is one.
func (l listening) serve(a *app, h transport.Handler, reload func()) error {
	if l.Threads < 0 {
		return fmt.Errorf("--threads %d: expected 1 or more", l.Threads)
	}
	server, err := transport.Listen(transport.Config{
		Handler: h, Addrs: addrPorts(l.Listen), Threads: l.Threads, Pin: l.Threads > 0, Log: a.log,
	})
	if err != nil {
		return err
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	served := make(chan error, 1)
	go func() { served <- server.Serve(a.ctx) }()
	a.log.Info("ready", "addresses", list(server.Addrs()))
	for {
		select {
		case err := <-served:
			return err
		case <-hangup:
			if reload != nil {
				reload()
			}
		}
	}
}

// list writes addresses with commas between them.
func list(addrs []netip.AddrPort) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ",")
}
