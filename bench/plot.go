package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	cpuPlot  = "bench-cpu.svg"
	loadPlot = "bench-load.svg"
)

// Geometry of the plots, in SVG's user units.
const (
	plotWidth   = 960
	panelWidth  = 456
	panelGap    = 24
	labelWidth  = 118
	valueWidth  = 52
	barHeight   = 15
	barStep     = 20
	barInset    = (barStep - barHeight) / 2
	panelHead   = 30
	panelFoot   = 22
	plotHead    = 56
	barRoom     = panelWidth - labelWidth - valueWidth
	markOverlap = 3
)

// style gives the plots the reader's own colours, light or dark. No font is fetched.
const style = `<style>
text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", Arial, sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; } .panel { font-size: 14px; font-weight: 600; } .soft { fill: #59636e; font-size: 12px; }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; } .ours { font-weight: 600; } .back { fill: #ffffff; } .bar { fill: #9aa7b5; } .bar.ours { fill: #1a7f64; } .axis { stroke: #d1d9e0; } .floor { stroke: #b35900; stroke-width: 2; stroke-dasharray: 4 3; } .floortext { fill: #b35900; font-size: 12px; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; } .soft { fill: #9198a1; } .back { fill: #0d1117; } .value { stroke: #0d1117; } .bar { fill: #5b6673; } .bar.ours { fill: #3fb98f; } .axis { stroke: #3d444d; } .floor { stroke: #e8a33d; } .floortext { fill: #e8a33d; }
}
</style>
`

// bar is one server's figure.
type bar struct {
	label string
	value float64
	text  string
	ours  bool
}

// panel is a group of bars with a scale of its own, which begins at zero.
type panel struct {
	title string
	bars  []bar
	floor float64 // 0: none
}

func (p panel) height() int { return panelHead + len(p.bars)*barStep + panelFoot }

func (p panel) scale() float64 {
	top := p.floor
	for _, b := range p.bars {
		top = max(top, b.value)
	}
	return barRoom / max(top, 1e-9)
}

// draw writes the plots into a directory.
func (r *report) draw(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	plots := map[string]string{
		cpuPlot:  plot("Processor seconds for a million answers", "Shorter is better. Each panel has its own scale, from zero.", r.cpuPanels()),
		loadPlot: plot("Load time and memory", "Shorter is better. Start to first right answer with two processors; memory with the zones loaded.", r.loadPanels()),
	}
	for name, svg := range plots {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) cpuPanels() []panel {
	var panels []panel
	for _, p := range r.Profiles {
		q := panel{title: p.Title}
		if f := p.server("floor"); f != nil {
			q.floor = f.cpu()
		}
		q.bars = p.bars(serverResult.cpu, "%.2f")
		panels = append(panels, q)
	}
	return panels
}

func (r *report) loadPanels() []panel {
	var panels []panel
	for _, p := range r.Profiles {
		if !p.Loads {
			continue
		}
		wall := func(s serverResult) float64 {
			if s.Load == nil {
				return 0
			}
			return s.Load.Wall
		}
		loads := p.bars(wall, "%.2f")
		if ours := p.server("onoma"); ours != nil && ours.Snapshot != nil {
			loads = slices.Insert(loads, 0, bar{label: "from snapshot", value: ours.Snapshot.Wall, text: fmt.Sprintf("%.2f", ours.Snapshot.Wall), ours: true})
		}
		pss := func(s serverResult) float64 { return megabytes(s.PSSStart) }
		panels = append(panels, panel{title: p.Title + ": load, s", bars: loads}, panel{title: p.Title + ": memory, MB", bars: p.bars(pss, "%.0f")})
	}
	return panels
}

// bars are the figures of all servers that have one.
func (p profileResult) bars(of func(serverResult) float64, format string) []bar {
	var bars []bar
	for _, s := range p.Servers {
		if v := of(s); v > 0 && s.Name != "floor" {
			bars = append(bars, bar{label: s.Label, value: v, text: fmt.Sprintf(format, v), ours: strings.HasPrefix(s.Name, "onoma")})
		}
	}
	return bars
}

// plot sets panels in two columns.
func plot(title, subtitle string, panels []panel) string {
	var w strings.Builder
	y := plotHead + 8
	for i := 0; i < len(panels); i += 2 {
		row := panels[i:min(i+2, len(panels))]
		tallest := 0
		for column, p := range row {
			p.draw(&w, column*(panelWidth+panelGap)+12, y)
			tallest = max(tallest, p.height())
		}
		y += tallest
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"%s\">\n%s"+
		"<rect class=\"back\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n<text class=\"title\" x=\"12\" y=\"26\">%s</text>\n<text class=\"soft\" x=\"12\" y=\"46\">%s</text>\n%s</svg>\n",
		plotWidth, y, plotWidth, y, html.EscapeString(title), style, plotWidth, y, html.EscapeString(title), html.EscapeString(subtitle), w.String())
}

func (p panel) draw(w *strings.Builder, x, y int) {
	fmt.Fprintf(w, "<text class=\"panel\" x=\"%d\" y=\"%d\">%s</text>\n", x, y+18, html.EscapeString(p.title))
	top, scale := y+panelHead, p.scale()
	left := x + labelWidth
	fmt.Fprintf(w, "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", left, top, left, top+len(p.bars)*barStep)
	for i, b := range p.bars {
		fmt.Fprintf(w, "<rect class=\"bar%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", b.class(), left, top+i*barStep+barInset, b.value*scale, barHeight)
	}
	p.drawFloor(w, float64(left)+p.floor*scale, top)
	for i, b := range p.bars {
		base := top + i*barStep + barInset + 12
		fmt.Fprintf(w, "<text class=\"label%s\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", b.class(), left-6, base, html.EscapeString(b.label))
		fmt.Fprintf(w, "<text class=\"value%s\" x=\"%.1f\" y=\"%d\">%s</text>\n", b.class(), float64(left)+b.value*scale+6, base, b.text)
	}
}

func (b bar) class() string {
	if b.ours {
		return " ours"
	}
	return ""
}

// drawFloor draws the least that any server could cost as a line through the bars.
func (p panel) drawFloor(w *strings.Builder, at float64, top int) {
	if p.floor <= 0 {
		return
	}
	bottom := top + len(p.bars)*barStep
	fmt.Fprintf(w, "<line class=\"floor\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", at, top-markOverlap, at, bottom+markOverlap)
	fmt.Fprintf(w, "<text class=\"floortext\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">floor %.2f</text>\n", at, bottom+15, p.floor)
}
