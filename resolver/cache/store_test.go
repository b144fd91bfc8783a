package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func (s *store) mustGet(t *testing.T, key string) string {
	t.Helper()
	v, _, ok := s.get(nil, s.hash([]byte(key)), []byte(key))
	if !ok {
		return "<none>"
	}
	return string(v)
}

func (s *store) set(key, value string, expire uint32) bool {
	return s.put(s.hash([]byte(key)), []byte(key), []byte(value), 0, 0, expire)
}

// TestStoreAgainstMap compares with a plain map: what the store finds is always
// what was put last; what it does not find was evicted or dropped.
func TestStoreAgainstMap(t *testing.T) {
	s := newStore(minShard)
	model := map[string]string{}
	r := rand.New(rand.NewPCG(1, 2))
	missing := 0
	for i := range 200_000 {
		key := fmt.Sprintf("key-%d", r.IntN(3000))
		switch r.IntN(10) {
		case 0:
			s.drop(s.hash([]byte(key)), []byte(key))
			delete(model, key)
		case 1, 2, 3:
			value := string(bytes.Repeat([]byte{byte(i)}, r.IntN(200)))
			if !s.set(key, value, 1) {
				t.Fatal("a short value was not taken")
			}
			model[key] = value
		default:
			got := s.mustGet(t, key)
			want, ok := model[key]
			switch {
			case got == "<none>" && ok:
				missing++
				delete(model, key)
			case got != "<none>" && (!ok || got != want):
				t.Fatalf("step %d: %s is %q, expected %q (%v)", i, key, got, want, ok)
			}
		}
	}
	if missing == 0 || s.len() == 0 {
		t.Errorf("%d entries evicted, %d held: the test does not fill the store", missing, s.len())
	}
}

func TestStoreKeepsWhatIsHit(t *testing.T) {
	s := newStore(minShard)
	value := string(make([]byte, 100))
	s.set("hot", value, 1<<31)
	s.set("cold", value, 1<<31)
	for i := range 5000 { // several times what fits
		s.set(fmt.Sprintf("filler-%d", i), value, 1<<31)
		s.mustGet(t, "hot")
	}
	if s.mustGet(t, "hot") == "<none>" || s.mustGet(t, "cold") != "<none>" {
		t.Error("expected the entry that is hit to stay and the one that is not to go")
	}
}

func TestStoreDropsTheExpiredFirst(t *testing.T) {
	s := newStore(minShard)
	value := string(make([]byte, 100))
	s.set("expired", value, 5)
	s.mustGet(t, "expired")
	for i := range 1000 {
		key := fmt.Appendf(nil, "filler-%d", i)
		s.put(s.hash(key), key, []byte(value), 0, 10, 100)
	}
	if s.mustGet(t, "expired") != "<none>" {
		t.Error("an entry that expired was carried over because it had been hit")
	}
}

func TestStoreRefusesTheHuge(t *testing.T) {
	s := newStore(minShard)
	if s.set("k", string(make([]byte, s.max+1)), 1) {
		t.Error("a value longer than the maximum was taken")
	}
	if !s.set("k", string(make([]byte, s.max)), 1) || len(s.mustGet(t, "k")) != s.max {
		t.Error("a value of the maximal length was not kept")
	}
}

// TestStoreWhileWriting: readers see whole entries or none, whatever the
// writers do. Every value repeats its key and is filled with one octet.
func TestStoreWhileWriting(t *testing.T) {
	s := newStore(minShard)
	s.shards[0].init(make([]uint64, 2<<10)) // a small ring, which writers go round often
	s.max = 2048
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	const keys = 64
	for g := range 2 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			for range 20_000 {
				n := r.Uint64N(keys)
				key := binary.BigEndian.AppendUint64(nil, n)
				value := bytes.Repeat([]byte{byte(r.Uint32())}, 1000+r.IntN(900))
				value = append(value, key...)
				s.put(s.hash(key), key, value, 0, 0, 1)
			}
		})
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			buf := make([]byte, 0, 4096)
			for {
				select {
				case <-stop:
					return
				default:
				}
				key := binary.BigEndian.AppendUint64(nil, r.Uint64N(keys))
				v, _, ok := s.get(buf, s.hash(key), key)
				if !ok {
					continue
				}
				body := v[:len(v)-8]
				if !bytes.Equal(v[len(v)-8:], key) || len(bytes.Trim(body, string(body[:1]))) != 0 {
					t.Errorf("torn entry: key %x, value %x", key, v)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

func BenchmarkMessagesGet(b *testing.B) {
	m := NewMessages(16<<20, Stale{})
	msg, keys := benchMessages(10_000)
	for _, k := range keys {
		m.Put(k, msg, nil, 0, 1000, 0)
	}
	dst := make([]byte, 0, 1500)
	var hit Hit
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := m.Get(dst, keys[i%len(keys)], 10, &hit); !ok {
			b.Fatal("miss")
		}
		i++
	}
}
