package update

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"onoma/authority"
	"onoma/authority/update"
	"onoma/dns"
	"onoma/pipeline"
	"onoma/store"
	"onoma/zone"
)

// TestThroughThePipeline has many clients change a zone at once, by a database on a disk. Each change that is
// acknowledged is served and stands in the history, with a serial number and an author of its own.
func TestThroughThePipeline(t *testing.T) {
	const clients, each = 32, 20
	ctx, cancel := context.WithCancel(t.Context())
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p := pipeline.New(pipeline.Options{Store: db})
	id := zone.IDOf("", dns.MustName(clientZone))
	if err := p.Load(ctx, []pipeline.ZoneSpec{{ID: id}}); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer cancel()
	first := zone.Change{Zone: id, By: zone.Author{Door: zone.DoorFile}, Replace: load(t, id.Name, zoneText(t)).Current()}
	if _, err := p.Submit(ctx, first); err != nil {
		t.Fatal(err)
	}
	s := &server{Handler: update.New(update.Options{Pipeline: p})}
	s.auth = authority.New(authority.Options{Updates: s.Handler})
	rules, err := update.ParsePolicy("grant 127.0.0.0/8 zonesub")
	if err != nil {
		t.Fatal(err)
	}
	s.Set(id, update.Settings{Policy: rules})
	if err := s.auth.SetZones(p.Zone(id)); err != nil {
		t.Fatal(err)
	}
	addr := s.listen(t)
	before := p.Zone(id).Current().Serial()
	began := time.Now()
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() { updateOften(t, addr, c, each) })
	}
	all.Wait()
	t.Logf("%d changes by %d clients in %v", clients*each, clients, time.Since(began))
	v := p.Zone(id).Current()
	if got := v.Serial() - before; got != clients*each {
		t.Errorf("the serial number has become %d higher, expected %d", got, clients*each)
	}
	for c := range clients {
		for i := range each {
			if v.Find(ownName(c, i).Append(nil)).IsZero() {
				t.Errorf("%s was acknowledged, and is not served", ownName(c, i))
			}
		}
	}
	entries, err := p.Log(ctx, id, 0, clients*each)
	if err != nil || len(entries) != clients*each {
		t.Fatalf("%d versions in the history, %v, expected %d", len(entries), err, clients*each)
	}
	for _, e := range entries {
		if e.By.Door != zone.DoorUpdate || e.By.Name != "address:127.0.0.1" {
			t.Errorf("version %d is by %+v, expected update and the client's address", e.Number, e.By)
		}
	}
}

func ownName(client, i int) dns.Name {
	return dns.MustName(fmt.Sprintf("n%d-%d.%s", client, i, clientZone))
}

// updateOften adds names one after the other over UDP, each acknowledged before the next.
func updateOften(t *testing.T, addr netip.AddrPort, client, n int) {
	conn, err := net.Dial("udp", addr.String())
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	var buf [512]byte
	for i := range n {
		name := ownName(client, i)
		msg, err := dns.NewUpdate(uint16(i), dns.MustName(clientZone)).IfNoName(name).Add(name, 60, dns.TypeA, dns.RData{192, 0, 2, byte(i)}).Append(nil)
		if err == nil {
			_, err = conn.Write(msg)
		}
		if err == nil {
			err = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		}
		var got int
		if err == nil {
			got, err = conn.Read(buf[:])
		}
		if err != nil {
			t.Error(err)
			return
		}
		h, ok := dns.ParseHeader(buf[:got])
		if !ok || h.ID != binary.BigEndian.Uint16(msg) || h.Flags.RCode() != dns.RCodeNoError {
			t.Errorf("%s: answer %v %v, expected NOERROR", name, h.ID, h.Flags.RCode())
			return
		}
	}
}
