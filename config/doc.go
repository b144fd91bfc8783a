// Package config is the configuration file of "onoma serve": its types, with all
// defaults and references resolved, and the reader that makes them from strict
// YAML and tells every mistake of the file with line and column.
//
// It owns no behaviour: it knows dns for names and nothing of servers. What a
// file names (keys, certificates, zone files) is opened by others; package
// preflight below it does so for "onoma config check".
//
// A [Config] is made by [Load] or [Parse] and is not changed afterwards, so any
// number of goroutines may read it. Slices and pointers in it are shared between
// zones that inherit from one template. Which settings exist, with their default
// and meaning, is docs/configuration.md; it is generated from the types here:
// the comment of each field is its documentation, and its tags are
//
//	yaml:"name"      the key; "name,key" is filled from the key of a mapping, ",inline" spreads a struct
//	default:"text"   read as if it stood in the file
//	oneof:"a|b"      the words that a text may be
//	range:"1..9"     the numbers that are allowed
//	path:"file"      a path, seen from the directory of the file that it stands in
//	path:"command"   so is the program, which is the first of the list, if there is a slash in it
//	ref:"key"        the name of a key or template that the file has to have
//	restart:"true"   takes effect at the next start, not at a reload
package config

import _ "embed"

// Example is a configuration to begin with.
//
//go:embed example.yaml
var Example string

//go:generate env REWRITE=1 go test -count=1 -run TestConfigurationPage .
