package anchor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// maxFile bounds what is read: a state of maxKeys keys of the longest kind.
const maxFile = 1 << 18

// Append appends the state as a file has it.
func (p *Point) Append(dst []byte) []byte {
	dst = append(dst, "; autotrust trust anchor file\n"...)
	if p.IsDeleted() {
		dst = append(dst, ";;REVOKED\n; All keys of the zone are revoked: nothing below it is validated by them any more.\n; To begin again, replace this file by trusted DS or DNSKEY records, or remove it.\n"...)
	}
	dst = fmt.Appendf(dst, ";;id: %s 1\n", p.Zone)
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"last_queried", p.Queried}, {"last_success", p.Succeeded}, {"next_probe_time", p.Next}} {
		dst = fmt.Appendf(dst, ";;%s: %s\n", t.name, stamp(t.at))
	}
	dst = fmt.Appendf(dst, ";;query_failed: %d\n;;query_interval: %d\n;;retry_time: %d\n", p.Failed, p.Interval/time.Second, p.Retry/time.Second)
	for _, ds := range p.Gone {
		dst = fmt.Appendf(dst, ";;gone: %s\n", dns.AppendRDataText(nil, dns.TypeDS, ds.RData()))
	}
	dst = fmt.Appendf(dst, ";;records: %d\n", len(p.DS)+len(p.Keys))
	for _, r := range p.Anchors() {
		if r.Type == dns.TypeDS {
			dst = append(append(dst, r.String()...), '\n')
		}
	}
	for _, k := range p.Keys {
		r := dns.Record{Name: p.Zone, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: k.TTL, Data: k.DNSKEY.RData()}
		dst = fmt.Appendf(dst, "%s ;{id = %d (ksk), size = %db} ;;state=%d [%s] ;;count=%d ;;lastchange=%s\n",
			r, k.DNSKEY.KeyTag(), bits(k.DNSKEY), k.State, stateNames[k.State], k.Count, stamp(k.Since))
	}
	return dst
}

// stamp has the seconds since 1970, then the same for people.
func stamp(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return fmt.Sprintf("%d ;;%s", t.Unix(), t.UTC().Format(time.ANSIC))
}

// bits is how long people say that a key is.
func bits(k dns.DNSKEY) int {
	key := k.PublicKey
	switch k.Algorithm {
	case 1, 5, 7, 8, 10: // RSA: the exponent comes first (RFC 3110 §2)
		if len(key) > 3 && key[0] == 0 {
			return 8 * max(0, len(key)-3-int(key[1])<<8-int(key[2]))
		}
		if len(key) > 1 {
			return 8 * max(0, len(key)-1-int(key[0]))
		}
	case 13, 14:
		return 4 * len(key)
	}
	return 8 * len(key)
}

// Parse reads a state, or a file of DS and DNSKEY records to begin with. The
// error names the line.
func Parse(text []byte, file string) (*Point, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: %d octets, expected %d at most", file, len(text), maxFile)
	}
	if !bytes.Contains(text, []byte(";;")) {
		return parsePlain(text, file)
	}
	r := fileReader{p: &Point{Interval: minInterval, Retry: minInterval}, records: -1}
	for i, line := range strings.Split(string(text), "\n") {
		if err := r.line(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	if r.records >= 0 && r.records != r.seen {
		return nil, fmt.Errorf("%s: %d records, expected %d as it says itself: a part is missing", file, r.seen, r.records)
	}
	if r.p.Zone.IsZero() || r.p.IsDeleted() && !r.revoked {
		return nil, fmt.Errorf("%s: no DS and no DNSKEY record that is trusted, expected one at least", file)
	}
	return r.p, nil
}

// parsePlain reads anchors in the form of a zone file.
func parsePlain(text []byte, file string) (*Point, error) {
	all, err := zonefile.NewReader(bytes.NewReader(text), zonefile.Options{File: file, Origin: dns.Root, DefaultTTL: 86400}).ReadAll()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r dns.Record) bool { return r.Type != dns.TypeDS && r.Type != dns.TypeDNSKEY })
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no DS and no DNSKEY record, expected one at least", file)
	}
	for _, r := range all[1:] {
		if !r.Name.Equal(all[0].Name) {
			return nil, fmt.Errorf("%s: anchors of %s and of %s, expected those of one zone", file, all[0].Name, r.Name)
		}
	}
	return New(all[0].Name, all), nil
}

// fileReader reads the lines of a state.
type fileReader struct {
	p             *Point
	records, seen int // as the file says, -1 where it does not; and as there are
	revoked       bool
}

func (r *fileReader) line(text string) error {
	switch {
	case text == "":
		return nil
	case strings.HasPrefix(text, ";;"):
		name, value, _ := strings.Cut(text[2:], ":")
		return r.header(name, strings.TrimSpace(value))
	case text[0] == ';':
		return nil
	}
	record, comment, _ := strings.Cut(text, ";")
	rec, err := zonefile.NewReader(strings.NewReader(record+"\n"), zonefile.Options{Origin: dns.Root, DefaultTTL: 86400}).Next()
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if rec.Type != dns.TypeDS && rec.Type != dns.TypeDNSKEY {
		return fmt.Errorf("a record of type %s, expected DS or DNSKEY", rec.Type)
	}
	if r.seen++; r.seen > 2*maxKeys {
		return fmt.Errorf("more than %d records", 2*maxKeys)
	}
	return r.record(rec, comment)
}

// header reads what the state says of itself. What is not known is let be.
func (r *fileReader) header(name, value string) (err error) {
	value, _, _ = strings.Cut(value, ";")
	value = strings.TrimSpace(value)
	p := r.p
	switch name {
	case "REVOKED":
		r.revoked = true
	case "id":
		zone, _, _ := strings.Cut(value, " ")
		if p.Zone, err = dns.ParseName(zone); err == nil {
			p.Zone = p.Zone.Fold()
		}
	case "last_queried":
		p.Queried, err = instant(value)
	case "last_success":
		p.Succeeded, err = instant(value)
	case "next_probe_time":
		p.Next, err = instant(value)
	case "query_failed":
		p.Failed, err = number(value)
	case "query_interval":
		p.Interval, err = interval(value)
	case "retry_time":
		p.Retry, err = interval(value)
	case "records":
		r.records, err = number(value)
	case "gone":
		var rd dns.RData
		if rd, err = dns.ParseRDataString(dns.TypeDS, value, dns.Root); err == nil && len(p.Gone) < maxGone {
			ds, _ := dns.ParseDS(rd)
			p.Gone = append(p.Gone, ds)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 40)
	if err != nil {
		return 0, fmt.Errorf("%q, expected a number", text)
	}
	return int(n), nil
}

func instant(text string) (time.Time, error) {
	n, err := number(text)
	if n == 0 || err != nil {
		return time.Time{}, err
	}
	return time.Unix(int64(n), 0).UTC(), nil
}

func interval(text string) (time.Duration, error) {
	n, err := number(text)
	return clamp(time.Duration(n)*time.Second, maxInterval), err
}

// record takes an anchor and the state that stands behind it; one without is
// where the point begins.
func (r *fileReader) record(rec dns.Record, comment string) error {
	p := r.p
	if p.Zone.IsZero() {
		p.Zone = rec.Name.Fold()
	}
	if !p.Zone.Equal(rec.Name) {
		return fmt.Errorf("an anchor of %s among those of %s, expected one zone", rec.Name, p.Zone)
	}
	k := Key{TTL: rec.TTL}
	hasState := false
	for field := range strings.SplitSeq(comment, ";;") {
		name, value, ok := strings.Cut(strings.TrimSpace(field), "=")
		if !ok || strings.HasPrefix(name, "{") {
			continue
		}
		value, _, _ = strings.Cut(value, " ")
		if err := k.set(name, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		hasState = hasState || name == "state"
	}
	if rec.Type == dns.TypeDS || !hasState {
		p.begin(rec)
		return nil
	}
	var err error
	if k.DNSKEY, err = dns.ParseDNSKEY(rec.Data); err != nil {
		return err
	}
	if _, isKept := stateNames[k.State]; isKept && k.DNSKEY.IsSEP() && p.find(k.DNSKEY) == nil {
		p.Keys = append(p.Keys, k)
	}
	return nil
}

// set takes one word behind a key. States that nothing is kept of, Start and
// Removed, are read, too.
func (k *Key) set(name, value string) (err error) {
	switch name {
	case "state":
		var n int
		if n, err = number(value); err == nil && n > 5 {
			err = fmt.Errorf("%d, expected 0 to 5", n)
		}
		k.State = State(n)
	case "count":
		k.Count, err = number(value)
	case "lastchange":
		k.Since, err = instant(value)
	}
	return err
}

// Load reads the file of a point; the error is os.ErrNotExist where there is none.
func Load(path string) (*Point, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading trust anchors: %w", err)
	}
	p, err := Parse(text, path)
	if err != nil {
		return nil, fmt.Errorf("reading trust anchors: %w", err)
	}
	return p, nil
}

// Store writes the state, so that the file has all of it or is as it was.
func (p *Point) Store(path string) error {
	if err := Replace(path, p.Append(nil)); err != nil {
		return fmt.Errorf("writing trust anchors: %w", err)
	}
	return nil
}

// Replace puts a file of text in the place of the one at path, if there is one:
// whole and on the disk, or not at all.
func Replace(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
