package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

// Run prints the module's version, the commit that it was built from, and Go's.
func (versionCmd) Run(a *app) error {
	commit := revision()
	if commit != "" {
		commit = " (" + commit + ")"
	}
	_, err := fmt.Fprintf(a.stdout, "onoma %s%s, %s %s/%s\n", version(), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version returns the module's version.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "unreleased"
}

// revision returns the commit that the program was built from, "" where that is not known.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return ""
}
