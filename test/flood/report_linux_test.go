package flood

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"onoma/test/peers"
)

// rows are the lines of the table in docs/floods.md.
var rows []string

// report adds a flood over UDP. A share below 0 was not measured.
func report(name string, can float64, with flooded, without float64) {
	bare := "-"
	if without >= 0 {
		bare = fmt.Sprintf("%.0f %%", 100*without)
	}
	rows = append(rows, fmt.Sprintf("| %s | %.0f | %.1f | **%.1f %%** | %s | %.1f | %d |",
		name, can, with.rate/can, 100*with.share(), bare, with.quantile(0.99).Seconds()*1000, with.memory>>20))
}

const (
	tableBegin = "<!-- make flood writes the table below -->\n"
	tableEnd   = "<!-- make flood writes the table above -->\n"
)

// writeReport puts the table into the page that ONOMA_FLOOD_REPORT names, relative to the module.
func writeReport() error {
	name := os.Getenv("ONOMA_FLOOD_REPORT")
	if name == "" || len(rows) == 0 {
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
	table := fmt.Sprintf("\nLinux %s, %d CPUs, %s; each flood %v.\n\n"+
		"| flood | capacity, answers/s | flood, times capacity | good answers kept | without triage | p99, ms | memory, MB |\n"+
		"| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n%s\n\n", kernel(), runtime.NumCPU(), runtime.Version(), span(), strings.Join(rows, "\n"))
	return os.WriteFile(name, []byte(before+tableBegin+table+tableEnd+after), 0o644)
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "of unknown version"
	}
	release, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	return release
}
