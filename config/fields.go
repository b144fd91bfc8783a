package config

import (
	"reflect"
	"strconv"
	"strings"
)

// field is a setting: a field of a struct with what its tags say.
type field struct {
	name     string // the key; "" for the one that is filled from the key of a mapping
	index    []int
	fallback string   // read where the key is absent
	oneof    []string // nil: any text
	least    string   // of the range, "" for none
	most     string
	path     string // "", "file" or "zone"
	ref      string // "", "key" or "template"
	off      bool   // the word off is as good as nothing,
	keepOff  bool   // or is another thing than that
	anyPort  bool   // a port may be left out
}

// layout is what a struct looks like in the file.
type layout struct {
	fields []field
	names  map[string]*field
	key    *field // the name of an element of a mapping
	value  *field // what may stand there instead of a mapping
}

// layouts knows the structs of one reader.
type layouts map[reflect.Type]*layout

func (ls layouts) of(t reflect.Type) *layout {
	if l := ls[t]; l != nil {
		return l
	}
	l := &layout{names: make(map[string]*field)}
	l.add(t, nil)
	for i := range l.fields {
		l.names[l.fields[i].name] = &l.fields[i]
	}
	ls[t] = l
	return l
}

func (l *layout) add(t reflect.Type, at []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, mode, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		index := append(append([]int(nil), at...), i)
		f := readTags(sf.Tag, name, index)
		switch {
		case name == "-":
		case mode == "inline":
			l.add(sf.Type, index)
		case mode == "key":
			l.key = &f
		default:
			l.fields = append(l.fields, f)
			if mode == "value" {
				l.value = &f
			}
		}
	}
}

func readTags(tag reflect.StructTag, name string, index []int) field {
	f := field{
		name: name, index: index, fallback: tag.Get("default"), path: tag.Get("path"), ref: tag.Get("ref"),
		off: tag.Get("off") != "", keepOff: tag.Get("off") == "word", anyPort: tag.Get("port") != "",
	}
	if words := tag.Get("oneof"); words != "" {
		f.oneof = strings.Split(words, "|")
	}
	f.least, f.most, _ = strings.Cut(tag.Get("range"), "..")
	return f
}

// inRange reports whether a value that parse has read lies in the range of f.
func inRange[T int64 | float64](f *field, v T, parse func(string) (T, error)) bool {
	if f.least == "" {
		return true
	}
	least, err := parse(f.least)
	most, err2 := parse(f.most)
	return err == nil && err2 == nil && v >= least && v <= most
}

func parseInt(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
