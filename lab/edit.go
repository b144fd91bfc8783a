package lab

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"onoma/dns"
	"onoma/dns/zonefile"
	"onoma/zone"
)

// edited is the next version of a zone, not published yet.
type edited struct {
	op      *operator
	version *zone.Version
	by      zone.Author
	receipt zone.Receipt // of commit
}

// edit reads the zone's file as it is now, so that a person's edits are kept,
// applies change to its records, and checks what comes out of it.
func (op *operator) edit(origin dns.Name, change func([]dns.Record) ([]dns.Record, error)) (*edited, error) {
	old, err := readZone(op.file(origin), origin)
	if err != nil {
		return nil, fmt.Errorf("the zone file has mistakes; mend it first: %w", err)
	}
	records, err := change(slices.Collect(old.Records()))
	if err != nil {
		return nil, err
	}
	e := &edited{op: op, by: op.author()}
	setSerial(records, nextSerial(op.newest(old)))
	e.version, err = build(origin, records)
	return e, err
}

// newest is the serial number of a zone that counts: signing has made versions that
// no file has.
func (op *operator) newest(file *zone.Version) uint32 {
	if v := op.signing().served(op.id(file.Origin())); v != nil && zone.IsNewer(v.Serial(), file.Serial()) {
		return v.Serial()
	}
	return file.Serial()
}

// build makes a version that can be served.
func build(origin dns.Name, records []dns.Record) (*zone.Version, error) {
	b := zone.NewBuilder(origin)
	for _, r := range records {
		if err := b.Add(r); err != nil {
			return nil, fmt.Errorf("building %s: %w", origin, err)
		}
	}
	v, findings := b.Build()
	return v, serious(origin.String(), findings)
}

// nextSerial is one more in serial number arithmetic (RFC 1982), and never 0,
// which some software takes for "none".
func nextSerial(s uint32) uint32 {
	if s++; s == 0 {
		return 1
	}
	return s
}

func setSerial(records []dns.Record, serial uint32) {
	for i, r := range records {
		if r.Type == dns.TypeSOA {
			records[i].Data = slices.Clone(r.Data)
			dns.SetSOASerial(records[i].Data, serial)
		}
	}
}

// text is the version as a master file.
func (e *edited) text() ([]byte, error) {
	text := bytes.NewBufferString("; Written by onoma lab. Edit it as you like; SIGHUP makes the lab read it again.\n")
	err := zonefile.Write(text, e.version.Origin(), e.version.Records())
	return text.Bytes(), err
}

// commit writes the file to disk, and then publishes the version.
func (e *edited) commit(ctx context.Context) error {
	text, err := e.text()
	if err == nil {
		err = writeFile(e.op.file(e.version.Origin()), text)
	}
	if err != nil {
		return fmt.Errorf("writing the zone file: %w", err)
	}
	e.receipt, err = e.op.publish(context.WithoutCancel(ctx), e.version, e.by)
	return err
}
