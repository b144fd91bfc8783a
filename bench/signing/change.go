//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"onoma/dns"
)

// changed is what changes of ten names cost a server that keeps a TLD signed.
type changed struct {
	Delegations int     `json:"delegations"`
	Changes     int     `json:"changes"`
	CPU         float64 `json:"cpu_seconds"`  // of all, the server's whole process
	Wall        float64 `json:"wall_seconds"` // of all, one after the other
	FirstCPU    float64 `json:"first_cpu_seconds"`
}

const serveConfig = `data: %q
control: "off"
listen: ["%s"]
policies:
  tld: {denial: nsec3-opt-out, ds: by-hand}
zones:
  tld.: {file: %q, file-mode: initial, dnssec: tld, update: ["grant 127.0.0.0/8 zonesub ANY"]}
`

// changes starts a server, waits until it has signed the TLD, and sends it changes of ten delegations each.
func (r *rig) changes(ctx context.Context, z *signedZone) (*changed, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := conn.LocalAddr().String() // free, and soon again
	conn.Close()
	dir := filepath.Join(r.scratch, "server")
	conf := filepath.Join(r.scratch, "onoma.yaml")
	text := fmt.Sprintf(serveConfig, dir, addr, z.file)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(conf, []byte(text), 0o644)); err != nil {
		return nil, err
	}
	cmd := r.command(ctx, 2, true, r.o.onoma, "serve", "--config", conf)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}()
	c, err := net.Dial("udp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	out := &changed{Delegations: r.o.delegations, Changes: r.o.updates}
	if err := awaitSigned(ctx, c); err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastOf(log.Bytes()))
	}
	if out.FirstCPU, err = calm(ctx, cmd.Process.Pid); err != nil {
		return nil, err
	}
	const warm = 5 // the first one makes tables that all others use
	before := 0.0
	var began time.Time
	for i := range warm + r.o.updates {
		if i == warm {
			if before, err = calm(ctx, cmd.Process.Pid); err != nil {
				return nil, err
			}
			began = time.Now()
		}
		if err := sendChange(c, i); err != nil {
			return nil, fmt.Errorf("change %d: %w: %s", i, err, lastOf(log.Bytes()))
		}
	}
	out.Wall = time.Since(began).Seconds()
	after, err := calm(ctx, cmd.Process.Pid) // what is put in order behind them counts, too
	out.CPU = after - before
	return out, err
}

func lastOf(log []byte) []byte { return log[max(0, len(log)-400):] }

// awaitSigned asks until the server has the zone's DNSKEY records.
func awaitSigned(ctx context.Context, c net.Conn) error {
	query, err := dns.NewQuery(7, dns.Question{Name: dns.MustName("tld."), Type: dns.TypeDNSKEY, Class: dns.ClassIN}, false).Append(nil)
	if err != nil {
		return err
	}
	for until := time.Now().Add(5 * time.Minute); time.Now().Before(until); {
		answer, err := exchange(c, query, time.Second)
		if h, ok := dns.ParseHeader(answer); err == nil && ok && h.Flags.RCode() == dns.RCodeNoError && h.Answers > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return errors.New("the server did not sign the zone within five minutes")
}

// sendChange adds ten delegations, five of them with DS, and waits until that is served.
func sendChange(c net.Conn, n int) error {
	u := dns.NewUpdate(uint16(n), dns.MustName("tld."))
	ds := append(dns.RData{0x30, 0x39, 13, 2}, make([]byte, 32)...)
	for i := range 10 {
		owner := dns.MustName(fmt.Sprintf("bench-%d-%d.tld.", i, n))
		u = u.Add(owner, 3600, dns.TypeNS, dns.NewTarget(dns.MustName("ns.elsewhere.test."))).Add(owner, 3600, dns.TypeDS, ds)
	}
	msg, err := u.Append(nil)
	if err != nil {
		return err
	}
	answer, err := exchange(c, msg, 10*time.Second)
	if err != nil {
		return err
	}
	if h, ok := dns.ParseHeader(answer); !ok || h.Flags.RCode() != dns.RCodeNoError {
		return fmt.Errorf("the server says %s", h.Flags.RCode())
	}
	return nil
}

func exchange(c net.Conn, msg []byte, patience time.Duration) ([]byte, error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(msg); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if n >= 2 && buf[0] == msg[0] && buf[1] == msg[1] {
			return buf[:n], nil
		}
	}
}

// calm waits until a process does next to nothing, and returns what it has used of the processor until then.
func calm(ctx context.Context, pid int) (float64, error) {
	last := -1.0
	for {
		used, err := usedBy(pid)
		if err != nil || used-last < 0.03 {
			return used, err
		}
		last = used
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// usedBy returns the seconds of the processor that a process has used (proc_pid_stat(5), in hundredths).
func usedBy(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte(") "))
	fields := bytes.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	user, err1 := strconv.Atoi(string(fields[11]))
	system, err2 := strconv.Atoi(string(fields[12]))
	return float64(user+system) / 100, errors.Join(err1, err2)
}
