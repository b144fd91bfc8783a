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

// cache keeps generated zones between runs, a directory for each kind and size. The zones depend on nothing but the
// program's constants, so whoever changes what is written here counts cacheVersion up.
type cache string

const (
	cacheVersion = "v1"
	queryLines   = 200_000
	floodLines   = 1_000_000
	tldOrigin    = "tld."
)

// open returns the directory of a key, which fill fills when there is none yet.
func (c cache) open(key string, fill func(dir string) error) (string, error) {
	dir := filepath.Join(string(c), key+"-"+cacheVersion)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(string(c), 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(string(c), key+"-part-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	if err := os.Chmod(part, 0o755); err != nil { // peers that drop their rights read here
		return "", err
	}
	if err := fill(part); err != nil {
		return "", fmt.Errorf("making %s: %w", key, err)
	}
	return dir, os.Rename(part, dir)
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

// single is the data set of one zone in a directory of the cache.
func single(dir, origin string) dataset {
	d := dataset{dir: dir}
	d.zones = []zoneFile{{origin, d.in("zone")}}
	d.queries = d.in("queries")
	return d
}

func hostsData(c cache) (dataset, error) {
	dir, err := c.open("hosts", func(dir string) error {
		if err := write(filepath.Join(dir, "zone"), writeHosts); err != nil {
			return err
		}
		return write(filepath.Join(dir, "queries"), writeHostsQueries)
	})
	return single(dir, "example.com."), err
}

func writeHosts(w *bufio.Writer) error {
	fmt.Fprint(w, "$ORIGIN example.com.\n$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n")
	for i := range 1000 {
		fmt.Fprintf(w, "host%d A 10.0.%d.%d\nhost%d AAAA 2001:db8::%x\n", i, i/256, i%256, i, i)
	}
	return nil
}

func writeHostsQueries(w *bufio.Writer) error {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range queryLines {
		name := fmt.Sprintf("host%d", rnd.IntN(1000))
		if rnd.IntN(10) == 0 {
			name = "nx-" + name
		}
		fmt.Fprintf(w, "%s.example.com. %s\n", name, [...]string{"A", "AAAA"}[rnd.IntN(2)])
	}
	return nil
}

// rootData unpacks the root zone; it is small, so a file that has changed is seen by its size.
func rootData(c cache, path string) (dataset, error) {
	info, err := os.Stat(path)
	if err != nil {
		return dataset{}, err
	}
	dir, err := c.open(fmt.Sprintf("root-%d", info.Size()), func(dir string) error {
		tlds, err := copyRoot(filepath.Join(dir, "zone"), path)
		if err != nil {
			return err
		}
		return write(filepath.Join(dir, "queries"), func(w *bufio.Writer) error { return writeRootQueries(w, tlds) })
	})
	return single(dir, "."), err
}

// copyRoot unpacks the zone and returns its delegations.
func copyRoot(to, from string) (tlds []string, err error) {
	f, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(from, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
	}
	err = write(to, func(w *bufio.Writer) error {
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
	if err == nil && len(tlds) == 0 {
		err = fmt.Errorf("%s has no delegation, expected a root zone", from)
	}
	return tlds, err
}

func writeRootQueries(w *bufio.Writer, tlds []string) error {
	rnd := rand.New(rand.NewPCG(2, 2))
	for i := range queryLines {
		tld := tlds[rnd.IntN(len(tlds))]
		if rnd.IntN(10) == 0 {
			tld = "nx" + tld
		}
		fmt.Fprintf(w, "www.domain%d.%s A\n", i, tld)
	}
	return nil
}

func tldData(c cache, n int) (dataset, error) {
	g := zonegen.TLD{Origin: dns.MustName(tldOrigin), Delegations: n, Seed: 3}
	dir, err := c.open(fmt.Sprintf("tld-%d", n), func(dir string) error {
		if err := write(filepath.Join(dir, "zone"), func(w *bufio.Writer) error { return g.WriteZone(w) }); err != nil {
			return err
		}
		return write(filepath.Join(dir, "queries"), func(w *bufio.Writer) error { return g.WriteQueries(w, queryLines) })
	})
	return single(dir, tldOrigin), err
}

// floodData asks random names of the TLD and of the small zone.
func floodData(c cache, n int) (dataset, error) {
	tld, err := tldData(c, n)
	if err != nil {
		return dataset{}, err
	}
	small, err := hostsData(c)
	if err != nil {
		return dataset{}, err
	}
	d := dataset{zones: append(tld.zones, small.zones...)}
	d.dir, err = c.open("flood", func(dir string) error {
		return write(filepath.Join(dir, "queries"), writeFlood)
	})
	d.queries = d.in("queries")
	return d, err
}

// writeFlood writes names as floods have them: a random label below a name that everybody knows. The TLD's names
// have no digit at their beginning, so none of these is delegated.
func writeFlood(w *bufio.Writer) error {
	rnd := rand.New(rand.NewPCG(5, 5))
	for i := range floodLines {
		fmt.Fprintf(w, "%d%s.%s A\n", rnd.IntN(10), fmt.Sprintf("%012x", rnd.Uint64()>>16), [...]string{tldOrigin, "example.com."}[i%2])
	}
	return nil
}

// hostedName is a customer's domain; the names are spread over a few TLDs, as they are at a hoster.
func hostedName(i int) string {
	r := rand.New(rand.NewPCG(6, uint64(i)))
	return fmt.Sprintf("%s%d.%s.", [...]string{"shop", "blog", "kanzlei", "my", "the-garden", "x"}[r.IntN(6)], i, [...]string{"com", "net", "de", "org", "guru"}[r.IntN(5)])
}

func hostingData(c cache, n int) (dataset, error) {
	dir, err := c.open(fmt.Sprintf("hosting-%d", n), func(dir string) error {
		for i := range n {
			if err := writeHosted(dir, i); err != nil {
				return err
			}
		}
		return write(filepath.Join(dir, "queries"), func(w *bufio.Writer) error { return writeHostedQueries(w, n) })
	})
	if err != nil {
		return dataset{}, err
	}
	d := dataset{dir: dir, zones: make([]zoneFile, n)}
	for i := range n {
		d.zones[i] = zoneFile{hostedName(i), d.in(hostedPath(i))}
	}
	d.queries, d.list = d.in("queries"), d.in("list")
	// The list names files by their full path, which the cache's own may have become since.
	return d, write(d.list, func(w *bufio.Writer) error {
		for _, z := range d.zones {
			fmt.Fprintf(w, "%s %s\n", z.origin, z.path)
		}
		return nil
	})
}

// hostedPath is below zones/, a thousand files in each directory.
func hostedPath(i int) string {
	return fmt.Sprintf("zones/%03d/db.%s", i/1000, strings.TrimSuffix(hostedName(i), "."))
}

func writeHosted(dir string, i int) error {
	path := filepath.Join(dir, hostedPath(i))
	if i%1000 == 0 {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("$ORIGIN %s\n$TTL 3600\n@ SOA ns1.hoster.example. hostmaster.hoster.example. 1 7200 900 1209600 300\n"+
		"@ NS ns1.hoster.example.\n@ NS ns2.hoster.example.\n@ A 10.%d.%d.%d\n@ MX 10 mail.hoster.example.\n", hostedName(i), i>>16&255, i>>8&255, i&255)
	return os.WriteFile(path, []byte(text), 0o644)
}

func writeHostedQueries(w *bufio.Writer, n int) error {
	rnd := rand.New(rand.NewPCG(7, 7))
	for range queryLines {
		name := hostedName(rnd.IntN(n))
		if rnd.IntN(10) == 0 {
			name = "nx." + name
		}
		fmt.Fprintf(w, "%s %s\n", name, [...]string{"A", "A", "MX", "TXT"}[rnd.IntN(4)])
	}
	return nil
}
