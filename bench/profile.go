package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"onoma/dns"
	"onoma/zone/zonegen"
)

// profile is a zone and the questions asked of it.
type profile struct {
	name    string
	title   string
	about   string
	origin  dns.Name
	zone    string // file
	queries string // file in dnsperf's form
	do      bool   // ask for DNSSEC records
}

const queryLines = 200_000

func makeProfile(name string, o options, dir string) (profile, error) {
	p := profile{name: name, zone: filepath.Join(dir, name+".zone"), queries: filepath.Join(dir, name+".queries")}
	switch name {
	case "hosts":
		p.title, p.origin = "1,000 hosts", dns.MustName("example.com.")
		p.about = "A small zone; A and AAAA of its hosts, one name in ten does not exist."
		return p, p.writeHosts()
	case "root":
		p.title, p.origin, p.do = "The root zone, signed, DO", dns.Root, true
		p.about = "The root as published in 2020; referrals to its TLDs with their DS or proof of none, one name in ten does not exist."
		return p, p.writeRoot(o.root)
	}
	p.title, p.origin = fmt.Sprintf("A TLD with %d delegations", o.delegations), dns.MustName("tld.")
	p.about = "Two name servers each, towards a host of every tenth delegation with glue, DS on 30 %; nine referrals to one name that does not exist."
	return p, p.writeTLD(o.delegations)
}

// write creates a file and fills it through a buffer.
func write(path string, fill func(w *bufio.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := fill(w); err != nil {
		f.Close()
		return err
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (p profile) writeHosts() error {
	rnd := rand.New(rand.NewPCG(1, 1))
	err := write(p.zone, func(w *bufio.Writer) error {
		fmt.Fprint(w, "$ORIGIN example.com.\n$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n")
		for i := range 1000 {
			fmt.Fprintf(w, "host%d A 10.0.%d.%d\nhost%d AAAA 2001:db8::%x\n", i, i/256, i%256, i, i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return write(p.queries, func(w *bufio.Writer) error {
		for range queryLines {
			name := fmt.Sprintf("host%d", rnd.IntN(1000))
			if rnd.IntN(10) == 0 {
				name = "nx-" + name
			}
			fmt.Fprintf(w, "%s.example.com. %s\n", name, [...]string{"A", "AAAA"}[rnd.IntN(2)])
		}
		return nil
	})
}

func (p profile) writeRoot(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	var tlds []string
	err = write(p.zone, func(w *bufio.Writer) error {
		sc := bufio.NewScanner(r)
		sc.Buffer(nil, 1<<20)
		last := ""
		for sc.Scan() {
			fmt.Fprintln(w, sc.Text())
			f := strings.Fields(sc.Text())
			if len(f) > 3 && f[3] == "NS" && f[0] != "." && f[0] != last {
				last = f[0]
				tlds = append(tlds, last)
			}
		}
		return sc.Err()
	})
	if err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(2, 2))
	return write(p.queries, func(w *bufio.Writer) error {
		for i := range queryLines {
			tld := tlds[rnd.IntN(len(tlds))]
			if rnd.IntN(10) == 0 {
				tld = "nx" + tld
			}
			fmt.Fprintf(w, "www.domain%d.%s A\n", i, tld)
		}
		return nil
	})
}

func (p profile) writeTLD(n int) error {
	g := zonegen.TLD{Origin: p.origin, Delegations: n, Seed: 3}
	if err := write(p.zone, func(w *bufio.Writer) error { return g.WriteZone(w) }); err != nil {
		return err
	}
	return write(p.queries, func(w *bufio.Writer) error { return g.WriteQueries(w, queryLines) })
}
