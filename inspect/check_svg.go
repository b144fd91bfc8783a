package inspect

import (
	"fmt"
	"html"
	"io"
	"strings"

	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/resolver/validator"
	"onoma/zone"
)

// The picture of a chain is a column of cards, one a zone, with the parent's word
// for each zone between them. A line on the left leads from what is trusted to what
// it vouches for; on the right is how long each signature lasts.
const (
	chainWidth  = 960
	chainMargin = 40
	chainRail   = 72  // where lines go down
	chainPill   = 96  // where keys and DS begin
	chainPillW  = 452 // and how wide they are
	chainSigX   = 572 // where signatures begin
	chainRow    = 42  // from one key to the next
	chainPillH  = 32
	chainBarX   = 668
	chainBarW   = 96
)

// chainStyle has the colours for light and dark surroundings. All pairs of words and
// surface have a contrast of at least 4.5 (WCAG 2.2 §1.4.3); what a colour says, a
// sign and a word say, too.
const chainStyle = `<style>
text{font-family:ui-sans-serif,system-ui,"Segoe UI","Helvetica Neue","DejaVu Sans",Arial,sans-serif;font-size:13px;fill:#1b2330}
.m{font-family:ui-monospace,"SF Mono","DejaVu Sans Mono",Menlo,Consolas,monospace}
.b{font-weight:650}.mute{fill:#566072}
.bg{fill:#f6f7fa}.card{fill:#fff;stroke:#dde2ea}.pill{fill:#f3f5f9;stroke:#d3dae4}.track{fill:#dfe4ec}.on{fill:#fff}
.ok{fill:#0a6e4b}.bad{fill:#b3202a}.off{fill:#566072}.warn{fill:#8a4b00}
.tok{fill:#dff3e9}.tbad{fill:#fde5e5}.toff{fill:#e8ebf0}.twarn{fill:#fcedd6}
.line{fill:none;stroke-width:2.5}.lok{stroke:#12875d}.lbad{stroke:#c9303a}.loff{stroke:#8390a3}.lwarn{stroke:#b06a10}
.glyph{fill:none;stroke:#fff;stroke-width:2.4;stroke-linecap:round;stroke-linejoin:round}
@media (prefers-color-scheme:dark){
text{fill:#e6eaf1}.mute{fill:#a3aec0}
.bg{fill:#12161d}.card{fill:#1a202a;stroke:#303947}.pill{fill:#222a36;stroke:#3a4556}.track{fill:#39435280}.on{fill:#10151c}
.ok{fill:#5fd3a4}.bad{fill:#ff8d8f}.off{fill:#a3aec0}.warn{fill:#f0b35b}
.tok{fill:#12382b}.tbad{fill:#47191d}.toff{fill:#2a323f}.twarn{fill:#402d10}
.lok{stroke:#3fb586}.lbad{stroke:#f0666c}.loff{stroke:#7a879b}.lwarn{stroke:#d39a45}
.glyph{stroke:#10151c}
}
</style>
`

// chainDrawing is a picture while it grows downwards.
type chainDrawing struct {
	svg
	body strings.Builder
	h    *Health
	y    float64
	// isBroken: the place where the chain breaks has been marked.
	isBroken bool
}

// WriteSVG draws the chain of trust, the servers and the findings as a picture of
// one file, without scripts and without fonts or images from elsewhere.
func (h *Health) WriteSVG(w io.Writer) error {
	d := &chainDrawing{h: h}
	d.w = &d.body
	d.heading()
	d.chain()
	d.servers()
	d.findings()
	d.text(chainMargin, d.y+8, `class="mute" style="font-size:12px"`,
		"A line leads from what is trusted to what it vouches for. A bar is the life of a signature, as far as it has passed.  ·  onoma check")
	d.y += 32
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img" aria-label="%s">`+"\n%s"+
		`<rect class="bg" width="%d" height="%.0f"/>`+"\n%s</svg>\n",
		chainWidth, d.y, chainWidth, d.y, html.EscapeString(h.Headline()), chainStyle, chainWidth, d.y, d.body.String())
	return err
}

// tone is a verdict's class of colours.
func tone(s validator.Status) string {
	switch s {
	case validator.Secure:
		return "ok"
	case validator.Bogus:
		return "bad"
	case validator.Insecure:
		return "off"
	}
	return "warn"
}

// The signs of the classes, about 0,0.
var glyphs = map[string]string{"ok": "M-5 .5l3.6 3.6L5-3.6", "bad": "M-4-4L4 4M4-4L-4 4", "off": "M-4.6 0H4.6", "warn": "M0-5V1M0 4.6V5"}

func (d *chainDrawing) sign(x, y float64, class string) {
	d.printf(`<g transform="translate(%.1f %.1f)"><circle r="11" class="%s"/><path d="%s" class="glyph"/></g>`+"\n", x, y, class, glyphs[class])
}

func (d *chainDrawing) heading() {
	class := tone(d.h.Trust.Status)
	d.text(chainMargin, 40, `class="mute" style="letter-spacing:.06em"`, "CHAIN OF TRUST")
	name, size := bare(d.h.Zone.Unicode()), 34.0
	if n := float64(len([]rune(name))); n*size*0.61 > chainWidth-2*chainMargin {
		size = (chainWidth - 2*chainMargin) / (0.61 * n)
	}
	d.text(chainMargin, 82, fmt.Sprintf(`class="m b" style="font-size:%.1fpx"`, size), name)
	d.sign(chainMargin+11, 111, class)
	d.text(chainMargin+32, 116, fmt.Sprintf(`class="b %s" style="font-size:16px"`, class), d.h.Headline())
	d.text(chainWidth-chainMargin, 40, `class="mute" text-anchor="end"`, "seen at "+stamp(d.h.At))
	d.y = 148
}

// chain draws the zones from the anchor down, and last what the zone itself says.
func (d *chainDrawing) chain() {
	from := 0.0 // the pill that the next line comes from
	for i, link := range d.h.Trust.Chain {
		at := d.handover(link, from)
		var below validator.Link
		if i+1 < len(d.h.Trust.Chain) {
			below = d.h.Trust.Chain[i+1]
		}
		from = d.zone(link, below, at)
	}
	for _, set := range d.h.Trust.Sets {
		d.set(set, from)
	}
	if name := d.h.unreached(); !name.IsZero() {
		d.card(plainName(name), "warn", "not reached", 52)
		d.elbow(from, d.y+26, "loff", true)
		d.y += 52 + 18
	}
}

// elbow leads from one pill to another further down; broken ones are dashed and
// have a cross on them.
func (d *chainDrawing) elbow(from, to float64, class string, isBroken bool) {
	if from == 0 {
		return
	}
	dash := ""
	if isBroken {
		dash = ` stroke-dasharray="5 5"`
	}
	const r = 10
	d.printf(`<path class="line %s"%s d="M%d %.1fH%d q-%d 0-%d %dV%.1fq0 %d %d %dH%d"/>`+"\n",
		class, dash, chainPill, from, chainRail+r, r, r, r, to-r, r, r, r, chainPill-8)
	d.printf(`<path class="line %s" d="M%d %.1fl7 6-7 6"/>`+"\n", class, chainPill-9, to-6)
	if isBroken && class == "lbad" && !d.isBroken {
		d.isBroken = true
		d.sign(chainRail, (from+to)/2, "bad")
	}
}

// card is a zone's surface with its name and what it came to.
func (d *chainDrawing) card(name, class, verdict string, height float64) {
	d.printf(`<rect class="card" x="%d" y="%.1f" width="%d" height="%.1f" rx="12"/>`+"\n", chainMargin, d.y, chainWidth-2*chainMargin, height)
	d.text(chainPill+4, d.y+32, `class="m b" style="font-size:18px"`, clip(name, 48))
	width := 50 + 7.4*float64(len(verdict))
	x := chainWidth - chainMargin - 16 - width
	d.printf(`<rect class="t%s" x="%.1f" y="%.1f" width="%.1f" height="28" rx="14"/>`+"\n", class, x, d.y+13, width)
	d.sign(x+15, d.y+27, class)
	d.text(x+33, d.y+31.5, `class="b `+class+`"`, verdict)
}

// pill draws a key or a DS: a badge, a tag, and words.
func (d *chainDrawing) pill(y float64, class, badge, tag, words, note string) {
	d.printf(`<rect class="pill" x="%d" y="%.1f" width="%d" height="%d" rx="8"/>`+"\n", chainPill, y-chainPillH/2, chainPillW, chainPillH)
	width := 16 + 7.6*float64(len(badge))
	d.printf(`<rect class="%s" x="%d" y="%.1f" width="%.1f" height="%d" rx="6"/>`+"\n", class, chainPill+5, y-11, width, 22)
	d.text(chainPill+5+width/2, y+4.5, `class="b on" text-anchor="middle" style="font-size:12px"`, badge)
	x := chainPill + 15 + width
	d.text(x, y+5, `class="m b" style="font-size:14px"`, tag)
	d.text(x+8.43*float64(len(tag))+10, y+4.5, `class="m"`, clip(words, 36))
	d.text(chainPill+chainPillW-12, y+4.5, `class="mute" text-anchor="end"`, note)
}

// plainName is a name for the eye: without its last dot, and the root with a word.
func plainName(n dns.Name) string {
	if n.IsRoot() {
		return ". (the root)"
	}
	return bare(n.Unicode())
}

// handover draws the parent's word for a zone and returns where it is.
func (d *chainDrawing) handover(link validator.Link, from float64) (at float64) {
	class := handoverClass(link)
	rows := d.y
	for _, ds := range link.DS {
		y := d.y + 20
		words := dnssec.AlgorithmName(ds.Algorithm) + " " + digestName(ds.DigestType)
		badge, note, fill := "DS", "", class
		if link.IsAnchor {
			badge = "trust anchor"
		}
		if !isUsed(link, ds) {
			note, fill = "leads to no key", "off"
		} else if at == 0 {
			at = y
		}
		d.pill(y, fill, badge, fmt.Sprint(ds.KeyTag), words, note)
		d.y += chainRow
	}
	if len(link.DS) == 0 {
		note := "proved by the parent"
		if link.Status == validator.Bogus {
			note = "and no proof of that"
		}
		d.pill(d.y+20, class, "no DS", "", "", note)
		d.y += chainRow
	}
	if at == 0 {
		at = rows + 20
	}
	d.elbow(from, rows+20, "l"+class, class == "bad")
	sigs := link.DSSigs
	for _, set := range link.Denial {
		sigs = append(sigs, set.Sigs...)
	}
	d.y = max(d.y, d.signatures(rows, sigs)) + 8
	return at
}

// handoverClass is what the parent's word came to, whatever the zone makes of it.
func handoverClass(link validator.Link) string {
	isGood := func(sigs []validator.Signature) bool {
		for _, s := range sigs {
			if s.IsGood {
				return true
			}
		}
		return false
	}
	switch {
	case link.IsAnchor || isGood(link.DSSigs):
		return "ok"
	case len(link.DS) == 0 && link.Status == validator.Insecure:
		return "off"
	}
	return "bad"
}

// zone draws a card with a zone's keys, and returns where the key is that signs
// what comes next.
func (d *chainDrawing) zone(link, below validator.Link, from float64) (signer float64) {
	class := tone(link.Status)
	why := wrap(printable(link.Why), 108)
	if link.Status == validator.Secure {
		why = nil
	}
	rows := max(len(link.Keys), len(link.KeySigs))
	height := 60 + float64(rows*chainRow) + float64(len(why)*18)
	if len(why) > 0 {
		height += 10
	}
	d.card(plainName(link.Zone), class, link.Status.String(), height)
	top := d.y + 52
	signer = d.keys(link, below, top, from)
	d.signatures(top, link.KeySigs)
	y := top + float64(rows*chainRow) + 18
	for _, line := range why {
		d.text(chainPill, y, `class="`+class+`"`, line)
		y += 18
	}
	d.y += height + 18
	return signer
}

func (d *chainDrawing) keys(link, below validator.Link, top, from float64) (signer float64) {
	entry := 0.0
	at := func(i int) float64 { return top + float64(i*chainRow) + 20 }
	for i, k := range link.Keys {
		class := "off"
		if link.Status == validator.Secure {
			class = "ok"
		}
		d.pill(at(i), class, d.h.role(link, k), fmt.Sprint(k.Tag), dnssec.AlgorithmName(k.Algorithm), strings.Join(keyNotes(link, k), ", "))
		if entry == 0 && k.IsTrusted && (k.Signs || link.Status != validator.Secure) {
			entry = at(i)
			d.elbow(from, entry, "l"+tone(link.Status), link.Status == validator.Bogus)
		}
		if signs(link.Zone, below, d.h.Trust.Sets, k) && (signer == 0 || k.Flags&dns.DNSKEYSEP == 0) {
			signer = at(i)
		}
	}
	switch {
	case entry == 0:
		d.elbow(from, d.y+26, "l"+tone(link.Status), link.Status == validator.Bogus)
		entry = d.y + 26
	case signer > entry:
		d.elbow(entry, signer, "l"+tone(link.Status), link.Status == validator.Bogus)
	}
	if signer == 0 {
		signer = entry
	}
	return signer
}

// signs reports whether a key made a signature of what comes next.
func signs(zone dns.Name, below validator.Link, sets []validator.Set, k validator.Key) bool {
	sigs := below.DSSigs
	for _, set := range append(below.Denial, sets...) {
		sigs = append(sigs, set.Sigs...)
	}
	for _, sig := range sigs {
		if sig.Signer.Equal(zone) && sig.KeyTag == k.Tag && sig.Algorithm == k.Algorithm {
			return true
		}
	}
	return false
}

// signatures draws how long each lasts, and returns where they end.
func (d *chainDrawing) signatures(top float64, sigs []validator.Signature) float64 {
	for i, sig := range sigs {
		y := top + float64(i*chainRow) + 20
		class, words := "ok", ""
		l := lifeOf(sig, d.h.At)
		switch {
		case !sig.IsGood && sig.Why == "":
			class, words = "off", "not needed"
		case !sig.IsGood && l.passed >= 0 && l.left >= 0:
			class, words = "bad", clip(printable(sig.Why), 20)
		case !sig.IsGood:
			class = "bad"
		}
		d.text(chainSigX, y+4.5, `class="mute"`, "by")
		d.text(chainSigX+22, y+4.5, `class="m b"`, fmt.Sprint(sig.KeyTag))
		share := min(max(l.share, 0), 1)
		d.printf(`<rect class="track" x="%d" y="%.1f" width="%d" height="8" rx="4"/>`+"\n", chainBarX, y-4, chainBarW)
		d.printf(`<rect class="%s" x="%d" y="%.1f" width="%.1f" height="8" rx="4"/>`+"\n", class, chainBarX, y-4, max(share*chainBarW, 8))
		if words == "" {
			words = l.short()
		}
		d.text(chainBarX+chainBarW+12, y+4.5, `class="`+class+`"`, words)
	}
	return top + float64(len(sigs)*chainRow)
}

// set draws the end of the chain: the zone's own records.
func (d *chainDrawing) set(set validator.Set, from float64) {
	class := tone(set.Status)
	height := 52 + float64(len(set.Sigs)*chainRow)
	d.card(plainName(set.Owner)+" "+set.Type.String(), class, set.Status.String(), height)
	d.elbow(from, d.y+26, "l"+class, set.Status == validator.Bogus)
	d.signatures(d.y+48, set.Sigs)
	d.y += height + 18
}

// mostServers is how many are drawn.
const mostServers = 13

func (d *chainDrawing) servers() {
	d.title("SERVERS")
	list := append(broken(d.h.Above), d.h.Own...)
	for i, st := range list {
		if i == mostServers {
			d.text(chainMargin+32, d.y, `class="mute"`, fmt.Sprintf("and %d more", len(list)-i))
			d.y += 30
			break
		}
		class, note := "ok", fmt.Sprintf("serial %d", st.Serial)
		if st.Error != "" {
			class, note = "bad", printable(st.Error)
		} else if st.Trust != d.h.best() {
			class, note = tone(st.Trust), note+", "+st.Trust.String()
		}
		d.sign(chainMargin+11, d.y-5, class)
		d.text(chainMargin+32, d.y, `class="m"`, clip(bare(st.Name.String()), 34))
		d.text(chainMargin+312, d.y, `class="m mute"`, st.Addr.Addr().String())
		d.text(chainBarX+4, d.y, "", clip(note, 36))
		d.y += 30
	}
	d.y += 4
}

func (d *chainDrawing) title(words string) {
	d.y += 22
	d.text(chainMargin, d.y, `class="mute" style="letter-spacing:.06em"`, words)
	d.y += 32
}

// mostFindings is how many are drawn.
const mostFindings = 8

func (d *chainDrawing) findings() {
	d.title("FINDINGS: " + strings.ToUpper(d.h.Tally()))
	for i, f := range d.h.Findings {
		if i == mostFindings {
			d.text(chainMargin+32, d.y, `class="mute"`, fmt.Sprintf("and %d more", len(d.h.Findings)-i))
			d.y += 26
			break
		}
		class := "warn"
		if f.Severity == zone.Error {
			class = "bad"
		}
		d.sign(chainMargin+11, d.y-5, class)
		d.text(chainMargin+32, d.y, `class="m b"`, f.Code)
		d.text(chainMargin+32+8*float64(len(f.Code))+10, d.y, `class="mute"`, subject(f))
		for _, line := range wrap(printable(f.Text), 112) {
			d.y += 20
			d.text(chainMargin+32, d.y, "", line)
		}
		for _, line := range wrap("→ "+printable(f.Cure), 112) {
			d.y += 20
			d.text(chainMargin+32, d.y, `class="mute"`, line)
		}
		d.y += 34
	}
}
