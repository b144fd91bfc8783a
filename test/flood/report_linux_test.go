package flood

import "time"

// row is one line of the table in docs/floods.md.
type row struct {
	flood          string
	can, times     float64
	with, without  float64
	p99            time.Duration
	memoryMegabyte int
}

var rows []row

func report(name string, can float64, with flooded, without float64) {
	rows = append(rows, row{name, can, with.rate / can, with.share(), without, with.quantile(0.99), with.memory >> 20})
}
