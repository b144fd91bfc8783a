package repo

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// floors is the house of DESIGN.md §2. A package imports only from floors below its own; packages under the
// same row (a package and its sub-packages) may import each other. The longest matching prefix counts.
// The side packages config and store are known to floors 3 and up, hence floor 2.
var floors = map[string]int{
	"internal/invariants": -1,
	"dns":                 0,
	"dns/zonefile":        1,
	"dns/dnssec":          1,
	"zone":                2,
	"transport":           2,
	"config":              2,
	"config/preflight":    4, // opens what a configuration names
	"store":               2,
	"telemetry":           3, // watches the handlers of transport from outside, so it lies above it
	"authority":           3,
	"resolver":            3,
	"resolver/validator":  2, // pure: it knows dns and dns/dnssec alone, and delegation and inspect need it, too
	"resolver/policy":     2, // pure: it knows dns alone
	"propagation":         3,
	"pipeline":            3,
	"signer":              3,
	"delegation":          3,
	"registry":            4,
	"managed":             4,
	"inspect":             4,
	"console":             5,
	"lab":                 6,
	"daemon":              5,
	"cmd/onoma":           7,
	"cmd/onoma-pkcs11":    7,
	"bench":               8,
	"test":                9,
}

// ring0 lists the packages that carry the DNS itself; they and their sub-packages import the standard library,
// each other, and the modules of ring0Modules. Tests are free to use more.
var (
	ring0        = []string{"dns", "zone", "transport", "authority", "resolver"}
	ring0Modules = []string{"golang.org/x/sys", "golang.org/x/net", "golang.org/x/crypto", "github.com/cloudflare/circl"}
)

// ring1Within lists the packages below those of ring 0 that may import more, because what they do is a library's work and the
// rest stands without them: QUIC, HTTP/3, ACME, and the loader of eBPF programs.
var ring1Within = []string{"transport/quic", "transport/https", "transport/certs", "transport/xdp"}

func inRing0(pkg string) bool {
	in := func(p string) bool { return within(pkg, p) }
	return slices.ContainsFunc(ring0, in) && !slices.ContainsFunc(ring1Within, in)
}

// within says whether a package path is prefix or lies below it.
func within(pkg, prefix string) bool {
	return pkg == prefix || strings.HasPrefix(pkg, prefix+"/")
}

// row finds the row of floors that a package belongs to.
func row(pkg string) (string, bool) {
	best, found := "", false
	for prefix := range floors {
		if within(pkg, prefix) && (!found || len(prefix) > len(best)) {
			best, found = prefix, true
		}
	}
	return best, found
}

func TestEveryPackageHasAFloor(t *testing.T) {
	for _, dir := range slices.Sorted(maps.Keys(packages(mustGoFiles(t)))) {
		if _, ok := row(dir); !ok {
			t.Errorf("package %s has no floor: add it to floors in test/repo/floors_test.go", dir)
		}
	}
}

func TestImportsGoDownward(t *testing.T) {
	checked := 0
	for _, f := range mustGoFiles(t) {
		from, ok := row(f.dir())
		if !ok || f.testOnly() {
			continue
		}
		for _, imported := range f.imports() {
			pkg, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				continue
			}
			checked++
			to, ok := row(pkg)
			if ok && to != from && floors[to] >= floors[from] {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go to lower floors only", f.path, floors[from], pkg, floors[to])
			}
		}
	}
	if checked == 0 {
		t.Error("no import between our packages was seen: the test looks at the wrong tree")
	}
}

func TestRing0Dependencies(t *testing.T) {
	for _, f := range mustGoFiles(t) {
		if f.testOnly() || !inRing0(f.dir()) {
			continue
		}
		for _, imported := range f.imports() {
			first, _, _ := strings.Cut(imported, "/")
			standard := !strings.Contains(first, ".")
			allowed := slices.ContainsFunc(ring0Modules, func(m string) bool { return within(imported, m) })
			if !standard && !allowed {
				t.Errorf("%s imports %s: ring 0 uses the standard library and %s only", f.path, imported, strings.Join(ring0Modules, ", "))
			}
		}
	}
}

// testOnlyModules are imported by tests, never by the product: the oracle above all, so that a mistake of
// ours is never compared with itself.
var testOnlyModules = []string{
	"github.com/miekg/dns",
	"github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal",
	"github.com/chromedp/chromedp",
	"github.com/chromedp/cdproto",
	"pgregory.net/rapid",
	"testing",
}

func TestProductDoesNotImportTestModules(t *testing.T) {
	for _, f := range mustGoFiles(t) {
		if f.testOnly() {
			continue
		}
		for _, imported := range f.imports() {
			if slices.ContainsFunc(testOnlyModules, func(m string) bool { return within(imported, m) }) {
				t.Errorf("%s imports %s: only _test.go files and packages below test/ may", f.path, imported)
			}
		}
	}
}
