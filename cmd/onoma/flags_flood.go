package main

// floodFlags say what to do when more comes in than can be answered.
type floodFlags struct {
	Triage bool `default:"true" negatable:"" help:"Under a flood over UDP, answer first those who asked before it (Linux)."`
}
