package inspect

import (
	"fmt"
	"html"
	"io"
	"strings"
	"unicode/utf8"

	"onoma/dns"
)

// The picture is a column of cards along a rail, one a hop, under a heading
// that shows the name cut into the zones that the journey went through.
const (
	svgWidth   = 1180
	svgMargin  = 48
	svgHead    = 196 // height of the heading
	svgCard    = 112 // height of a card, its gap not counted
	svgGap     = 22
	svgFoot    = 132
	svgRailX   = 84
	svgCardX   = 130
	svgChar    = 8.4 // width of a character of the cards' 14-pixel monospace
	svgMaxText = 82  // characters of a card's line
)

// svgTone is a role's colours: the strong one, and its tint for surfaces.
type svgTone struct{ strong, tint string }

var svgTones = map[Role]svgTone{
	RoleRoot:          {"#7c3aed", "#f3edff"},
	RoleTLD:           {"#1d6fd8", "#e8f1fd"},
	RoleAuthoritative: {"#0f8a5f", "#e5f6ef"},
}

var (
	svgAliasTone = svgTone{"#b45309", "#fdf1e0"}
	svgFailTone  = svgTone{"#c0262d", "#fdeaea"}
)

// svg writes elements; the first error of the writer stays and ends it.
type svg struct {
	w   io.Writer
	err error
}

func (s *svg) printf(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format, args...)
	}
}

// text writes one line; style is attributes, the words are escaped here.
func (s *svg) text(x, y float64, style, words string) {
	s.printf(`<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, style, html.EscapeString(words))
}

// WriteSVG draws the journey as a picture of one file, without scripts and
// without fonts or images from elsewhere.
func (j *Journey) WriteSVG(w io.Writer) error {
	s := &svg{w: w}
	height := svgHead + len(j.Hops)*(svgCard+svgGap) + svgFoot
	s.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		svgWidth, height, svgWidth, height, html.EscapeString("The journey of "+j.Question.Name.String()))
	s.printf(`<style>
text{font-family:ui-sans-serif,system-ui,"Segoe UI","Helvetica Neue","DejaVu Sans",Arial,sans-serif;fill:#1b2330}
.m{font-family:ui-monospace,"SF Mono","DejaVu Sans Mono",Menlo,Consolas,monospace}
.s{font-size:13px;fill:#5d6878}.b{font-weight:650}
</style>
<rect width="%d" height="%d" fill="#fbfbfd"/>
`, svgWidth, height)
	s.heading(j)
	top := float64(svgHead)
	for i, h := range j.Hops {
		s.card(h, i+1, top, i+1 < len(j.Hops))
		top += svgCard + svgGap
	}
	s.conclusion(j, top)
	s.printf("</svg>\n")
	return s.err
}

// heading shows the question's name, each part underlined in the colour of the
// servers that answered for it.
func (s *svg) heading(j *Journey) {
	s.text(svgMargin, 52, `class="s" style="font-size:15px;letter-spacing:.04em"`, "HOW A NAME IS RESOLVED")
	parts := strings.SplitAfter(strings.TrimSuffix(j.Question.Name.Unicode(), "."), ".")
	name := strings.Join(parts, "")
	size := 44.0
	if n := utf8.RuneCountInString(name) + 7; float64(n)*size*0.62 > svgWidth-2*svgMargin {
		size = (svgWidth - 2*svgMargin) / (0.62 * float64(n))
	}
	step := size * 0.602 // a monospace character's advance
	x := float64(svgMargin)
	for i, part := range parts {
		tone := svgTones[RoleAuthoritative]
		label := ""
		switch {
		case i == len(parts)-1 && j.Question.Name.NumLabels() > 1:
			tone, label = svgTones[RoleTLD], "TLD"
		case i == len(parts)-2 || len(parts) == 1:
			label = "domain"
		}
		width := step * float64(utf8.RuneCountInString(part))
		s.text(x, 112, fmt.Sprintf(`class="m b" style="font-size:%.1fpx"`, size), part)
		s.underline(x, width-step*0.3, tone, label)
		x += width
	}
	s.text(x, 112, fmt.Sprintf(`class="m b" style="font-size:%.1fpx;fill:%s"`, size, svgTones[RoleRoot].strong), ".")
	s.underline(x, step*0.8, svgTones[RoleRoot], "root")
	s.text(x+step*1.8, 112, fmt.Sprintf(`class="m" style="font-size:%.1fpx;fill:#8a94a3"`, size), j.Question.Type.String())
}

func (s *svg) underline(x, width float64, tone svgTone, label string) {
	s.printf(`<rect x="%.1f" y="126" width="%.1f" height="5" rx="2.5" fill="%s"/>`+"\n", x, max(width, 8), tone.strong)
	if label != "" && (width > svgChar*float64(len(label))*0.6 || label == "root") {
		s.text(x, 150, fmt.Sprintf(`class="s" style="fill:%s"`, tone.strong), label)
	}
}

// card draws one hop; more says that the rail goes on below it.
func (s *svg) card(h Hop, n int, y float64, more bool) {
	tone := svgTones[h.Role]
	said := tone
	switch h.Outcome {
	case OutcomeAlias:
		said = svgAliasTone
	case OutcomeError, OutcomeNXDomain:
		said = svgFailTone
	}
	x := float64(svgCardX)
	if !h.Side.IsZero() {
		x += 40
	}
	if more {
		s.printf(`<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#d5dae2" stroke-width="3"/>`+"\n",
			svgRailX, y+svgCard/2, svgRailX, y+svgCard+svgGap+svgCard/2)
	}
	s.printf(`<line x1="%d" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="3"/>`+"\n", svgRailX, y+svgCard/2, x, y+svgCard/2, tone.strong)
	s.printf(`<circle cx="%d" cy="%.1f" r="21" fill="%s"/>`+"\n", svgRailX, y+svgCard/2, tone.strong)
	s.text(svgRailX, y+svgCard/2+6.5, `class="b" text-anchor="middle" style="font-size:18px;fill:#fff"`, fmt.Sprint(n))
	width := svgWidth - svgMargin - x
	s.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="12" fill="#fff" stroke="#e1e5eb"/>`+"\n", x, y, width, svgCard)
	s.printf(`<path d="M%.1f %.1f v%d" stroke="%s" stroke-width="5" stroke-linecap="round"/>`+"\n", x+1.5, y+14, svgCard-28, tone.strong)
	s.cardText(h, x+24, y, width, tone, said)
}

func (s *svg) cardText(h Hop, x, y, width float64, tone, said svgTone) {
	role := map[Role]string{RoleRoot: "root server", RoleTLD: "TLD server", RoleAuthoritative: "authoritative server"}[h.Role]
	server := h.Address.Addr().String()
	if !h.Server.IsZero() {
		server = strings.TrimSuffix(h.Server.String(), ".") + "  " + server
	}
	s.text(x, y+30, fmt.Sprintf(`class="b" style="font-size:15px;fill:%s"`, tone.strong), role)
	s.text(x+192, y+30, `class="m" style="font-size:14px"`, clip(server, 70))
	s.text(x+width-48, y+30, `class="s" text-anchor="end"`, Duration(h.RTT)+protoNote(h.Proto))

	asked := fmt.Sprintf("%s %s ?", bare(h.Asked.Name.Unicode()), h.Asked.Type)
	if !h.Side.IsZero() {
		asked += "   (to reach " + strings.TrimSuffix(h.Side.String(), ".") + ")"
	}
	s.text(x, y+58, `class="m s" style="font-size:14px"`, "→ "+clip(asked, svgMaxText))
	s.text(x, y+86, fmt.Sprintf(`class="m b" style="font-size:14px;fill:%s"`, said.strong), "← "+clip(h.Said(), svgMaxText))
	if len(h.Keeps) > 0 {
		k := h.Keeps[0]
		note := "cached for " + Duration(k.For)
		w := float64(len(note))*7.2 + 20
		s.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="24" rx="12" fill="%s"/>`+"\n", x+width-48-w, y+44, w, said.tint)
		s.text(x+width-48-w/2, y+60.5, fmt.Sprintf(`class="s" text-anchor="middle" style="fill:%s"`, said.strong), note)
	}
}

func (s *svg) conclusion(j *Journey, y float64) {
	tone := svgTones[RoleAuthoritative]
	if j.RCode != dns.RCodeNoError {
		tone = svgFailTone
	}
	s.printf(`<rect x="%d" y="%.1f" width="%d" height="64" rx="12" fill="%s"/>`+"\n", svgMargin, y+8, svgWidth-2*svgMargin, tone.tint)
	s.text(svgMargin+24, y+47, fmt.Sprintf(`class="b" style="font-size:19px;fill:%s"`, tone.strong), clip(j.Conclusion(), 96))
	s.text(svgWidth-svgMargin, y+102, `class="s" text-anchor="end"`,
		fmt.Sprintf("%d questions, %s  ·  onoma trace", len(j.Hops), Duration(j.Elapsed)))
}

// bare drops the final dot of a name, for the eye; the root keeps it.
func bare(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// clip shortens words to at most most characters.
func clip(words string, most int) string {
	r := []rune(words)
	if len(r) <= most {
		return words
	}
	return string(r[:most-1]) + "…"
}
