package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onoma/test/peers"
)

// ceiling is the most that one question of a client may cost; memory 0 is usualMemory. Why it is so much is said where it is stated.
type ceiling struct {
	messages float64 // sent upstream
	octets   float64 // both ways
	cpu      float64 // times what an honest question costs that is looked up
	memory   int64   // growth of the whole process over the attack
}

// row is a line of the table in docs/attacks.md.
type row struct {
	attack, defence string
	ceiling         ceiling
	cost            usage
	seen            string // what else was measured
}

var rows struct {
	sync.Mutex
	list []string
}

// usualMemory is the most that an attack may make a process grow that says nothing else: the collector lets as much lie as is
// alive, and the caches, 96 MiB, are alive from the start; the rest is what they were touched.
const usualMemory = 128 << 20

// floor is the least that an honest question counts as, so that a row's multiple of it means something where that is nothing.
const floor = 200 * time.Microsecond

// row holds a cost to its ceiling, and notes both for the table.
func (w *world) row(r row) {
	w.t.Helper()
	times := float64(r.cost.cpu) / float64(max(w.usual.cpu, floor))
	over := func(what string, got, most any) {
		w.t.Errorf("%s: %v %s for one question of a client, at most %v", r.attack, got, what, most)
	}
	c := r.ceiling
	if c.memory == 0 {
		c.memory = usualMemory
	}
	if c.messages > 0 && r.cost.messages > c.messages {
		over("messages upstream", r.cost.messages, c.messages)
	}
	if c.octets > 0 && r.cost.octets > c.octets {
		over("octets", r.cost.octets, c.octets)
	}
	if c.cpu > 0 && times > c.cpu {
		over("times the processor time of an honest one", fmt.Sprintf("%.1f", times), c.cpu)
	}
	if c.memory > 0 && r.cost.memory > c.memory {
		over("octets of memory more", r.cost.memory, c.memory)
	}
	cell := func(got, most any, is bool) string {
		if !is {
			return "-"
		}
		return fmt.Sprintf("%v / %v", got, most)
	}
	line := fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |", r.attack, r.defence,
		cell(fmt.Sprintf("%.1f", r.cost.messages), c.messages, c.messages > 0), cell(fmt.Sprintf("%.0f", r.cost.octets), c.octets, c.octets > 0),
		cell(fmt.Sprintf("%.1f", max(0, times)), c.cpu, c.cpu > 0), cell(fmt.Sprintf("%.1f", float64(max(0, r.cost.memory))/(1<<20)), c.memory>>20, c.memory > 0), r.seen)
	w.t.Log(line)
	rows.Lock()
	defer rows.Unlock()
	rows.list = append(rows.list, line)
}

const (
	tableBegin = "<!-- make attack writes the table below -->\n"
	tableEnd   = "<!-- make attack writes the table above -->\n"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := writeReport(); err != nil {
		fmt.Fprintln(os.Stderr, "writing the table of attacks:", err)
		code = 1
	}
	os.Exit(code)
}

// writeReport puts the table into the page that ONOMA_ATTACK_REPORT names, relative to the module.
func writeReport() error {
	name := os.Getenv("ONOMA_ATTACK_REPORT")
	if name == "" || len(rows.list) == 0 {
		return nil
	}
	name = filepath.Join(peers.ModuleRoot(), name)
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table", name)
	}
	slices.Sort(rows.list)
	table := fmt.Sprintf("\n%d CPUs, %s, %d rows; measured / ceiling for one question of a client (memory: for the whole attack, MB).\n\n"+
		"| attack | defence | messages upstream | octets | CPU, times an honest question | memory, MB | also seen |\n"+
		"| --- | --- | ---: | ---: | ---: | ---: | --- |\n%s\n\n", runtime.NumCPU(), runtime.Version(), len(rows.list), strings.Join(rows.list, "\n"))
	return os.WriteFile(name, []byte(before+tableBegin+table+tableEnd+after), 0o644)
}
