//go:build unix

// Command floor is the least that any name server costs: it flips the QR bit of each query and sends it back. The distance
// between it and onoma is what the DNS costs; the rest is the kernel and package transport.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"onoma/transport"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:5399", "addresses, comma separated")
	threads := flag.Int("threads", 1, "UDP loops for each address")
	pin := flag.Bool("pin", false, "tie each loop to a CPU and a thread")
	flag.Parse()
	if err := run(*listen, *threads, *pin); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(2)
	}
}

func run(listen string, threads int, pin bool) error {
	cfg := transport.Config{Handler: transport.WorkerFunc(flip), Threads: threads, Pin: pin, Log: slog.Default()}
	for s := range strings.SplitSeq(listen, ",") {
		addr, err := netip.ParseAddrPort(s)
		if err != nil {
			return fmt.Errorf("reading --listen: %w", err)
		}
		cfg.Addrs = append(cfg.Addrs, addr)
	}
	srv, err := transport.Listen(cfg)
	if err != nil {
		return err
	}
	slog.Info("ready", "addresses", srv.Addrs())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = srv.Serve(ctx)
	report(srv.Stats())
	return err
}

// flip answers with the query itself, QR set.
func flip(dst []byte, q *transport.Query) []byte {
	dst = append(dst, q.Msg...)
	dst[2] |= 0x80
	return dst
}

// report writes what an answer cost this process.
func report(st transport.Stats) {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return
	}
	cpu := time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	answers := st.UDP.Answers + st.TCP.Answers
	slog.Info("done", "answers", answers, "cpu", cpu, "kernel drops", st.KernelDrops)
	if answers > 0 {
		slog.Info("cost", "microseconds of CPU for one answer", float64(cpu.Microseconds())/float64(answers))
	}
}
