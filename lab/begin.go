package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/pipeline"
	"onoma/zone"
)

// hosted is a zone of an operator.
type hosted struct {
	op     *operator
	origin dns.Name
}

// begin serves all zones for the first time since the lab was started: children
// before their parents. In a lab that is new, each parent gets the DS records of its
// children meanwhile, as if their owners had typed them into the registrar's form;
// whatever comes later tells the parent itself.
func (l *Lab) begin(ctx context.Context) error {
	zones, err := l.hosted()
	if err != nil {
		return err
	}
	specs := make([]pipeline.ZoneSpec, len(zones))
	for i, z := range zones {
		specs[i].ID = z.op.id(z.origin)
	}
	if err := l.signing.pipe.Load(ctx, specs); err != nil {
		return err
	}
	_, err = os.Stat(l.begunFile())
	isNew := errors.Is(err, fs.ErrNotExist)
	for len(zones) > 0 {
		n := 1
		for n < len(zones) && zones[n].origin.NumLabels() == zones[0].origin.NumLabels() {
			n++
		}
		if err := l.beginAll(ctx, zones[:n], isNew); err != nil {
			return err
		}
		zones = zones[n:]
	}
	if isNew {
		if err := writeFile(l.begunFile(), nil); err != nil {
			return fmt.Errorf("noting that the lab is not new any more: %w", err)
		}
	} else {
		l.signing.keeper.Tend(ctx) // signatures may have expired while the lab was off
	}
	return l.writeAnchors()
}

// begunFile is there once parents have been given DS records.
func (l *Lab) begunFile() string { return filepath.Join(l.signingDir(), "begun") }

// hosted lists the zones of all operators, those of most labels first.
func (l *Lab) hosted() (zones []hosted, err error) {
	var bad []error
	for _, op := range l.operators {
		origins, err := op.origins()
		bad = append(bad, err, op.readUnsigned())
		for _, o := range origins {
			zones = append(zones, hosted{op, o})
		}
	}
	slices.SortStableFunc(zones, func(a, b hosted) int { return cmp.Compare(b.origin.NumLabels(), a.origin.NumLabels()) })
	return zones, errors.Join(bad...)
}

// beginAll serves zones of which none is above another.
func (l *Lab) beginAll(ctx context.Context, zones []hosted, isNew bool) error {
	errs := make([]error, len(zones))
	var work sync.WaitGroup
	for i, z := range zones {
		work.Go(func() { errs[i] = l.beginOne(ctx, z, isNew) })
	}
	work.Wait()
	return errors.Join(errs...)
}

func (l *Lab) beginOne(ctx context.Context, z hosted, isNew bool) error {
	file := z.op.file(z.origin)
	v, err := readZone(file, z.origin)
	if err != nil {
		return err
	}
	if isNew && z.op.signs(v) {
		lines, err := l.firstDS(v)
		if err != nil {
			return err
		}
		if len(lines) > 0 {
			if err := appendLines(file, lines); err != nil {
				return fmt.Errorf("writing DS records: %w", err)
			}
			if v, err = readZone(file, z.origin); err != nil {
				return err
			}
		}
	}
	_, err = z.op.publish(ctx, v, z.op.author())
	return err
}

// firstDS returns DS records of those children of a zone that are signed in the lab
// and have none, as lines of a zone file.
func (l *Lab) firstDS(v *zone.Version) (lines []string, err error) {
	for n := range v.Nodes() {
		if !n.IsCut() || n.HasDS() {
			continue
		}
		op := l.hostOf(n.Name())
		if op == nil {
			continue
		}
		set, _ := n.RRset(dns.TypeNS)
		for _, k := range entryKeys(l.signing.served(op.id(n.Name()))) {
			ds, err := dnssec.MakeDS(n.Name(), k, dnssec.DigestSHA256)
			if err != nil {
				return nil, fmt.Errorf("a DS record of %s: %w", plain(n.Name()), err)
			}
			lines = append(lines, fmt.Sprintf("%s\t%d\tIN\tDS\t%s\n", n.Name(), set.TTL(), ds.RData().Text(dns.TypeDS)))
		}
	}
	return lines, nil
}

// appendLines adds to a zone file, and leaves what is in it as it is.
func appendLines(file string, lines []string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text = append(bytes.TrimRight(text, "\n"), "\n\n; the keys of the children that are signed\n"...)
	return writeFile(file, append(text, strings.Join(lines, "")...))
}

// Files for validators: records as Unbound and onoma read them, and the statement
// that delv and BIND want.
func (l *Lab) anchorFile() string { return filepath.Join(l.dir, "trust-anchor.key") }
func (l *Lab) bindFile() string   { return filepath.Join(l.dir, "bind.keys") }

// rootKeys are the keys that a validator of the lab trusts.
func (l *Lab) rootKeys() []dns.DNSKEY {
	return entryKeys(l.signing.served(l.operators[0].id(dns.Root)))
}

// entryKeys are the keys of a zone that are to be trusted from outside: those that
// sign keys.
func entryKeys(v *zone.Version) (out []dns.DNSKEY) {
	if v == nil {
		return nil
	}
	for _, data := range rdataOf(v, dns.TypeDNSKEY) {
		if k, err := dns.ParseDNSKEY(data); err == nil && k.IsSEP() {
			out = append(out, k)
		}
	}
	return out
}

// anchors are the same as records.
func (l *Lab) anchors() (records []dns.Record) {
	for _, k := range l.rootKeys() {
		records = append(records, dns.Record{Name: dns.Root, Type: dns.TypeDNSKEY, Class: dns.ClassIN, TTL: 3600, Data: k.RData()})
	}
	return records
}

// writeAnchors writes them, unless the root is not signed: then there are none.
func (l *Lab) writeAnchors() error {
	records := l.anchors()
	if len(records) == 0 {
		return errors.Join(removeFile(l.anchorFile()), removeFile(l.bindFile()))
	}
	plainText := bytes.NewBufferString("; The keys of the lab's root, for validating resolvers.\n")
	bind := bytes.NewBufferString("// The keys of the lab's root, for delv and BIND.\ntrust-anchors {\n")
	for i, k := range l.rootKeys() {
		ds, err := dnssec.MakeDS(dns.Root, k, dnssec.DigestSHA256)
		if err != nil {
			return err
		}
		fmt.Fprintf(plainText, "%s\n. 3600 IN DS %s\n", records[i], ds.RData().Text(dns.TypeDS))
		fields := strings.Fields(records[i].Data.Text(dns.TypeDNSKEY))
		fmt.Fprintf(bind, "\t. static-key %s %s %s %q;\n", fields[0], fields[1], fields[2], strings.Join(fields[3:], ""))
	}
	bind.WriteString("};\n")
	if err := errors.Join(writeFile(l.anchorFile(), plainText.Bytes()), writeFile(l.bindFile(), bind.Bytes())); err != nil {
		return fmt.Errorf("writing the trust anchor: %w", err)
	}
	return nil
}

func removeFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// hostOf returns who signs a zone: the one operator that serves it.
func (l *Lab) hostOf(origin dns.Name) (host *operator) {
	for _, op := range l.operators {
		if !op.hosts(origin) {
			continue
		}
		if v := l.signing.served(op.id(origin)); v == nil || !isSigned(v) {
			continue
		}
		if host != nil {
			return nil // both sign a copy of theirs: the delegation is to be asked
		}
		host = op
	}
	return host
}
