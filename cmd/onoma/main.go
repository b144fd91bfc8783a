// Command onoma is the Domain Name System in one program: name servers, a
// resolver, a DNS for one machine to learn and test with, and the tools that show
// how a name is resolved. One file holds each verb; what a verb does lives in the
// packages below, and this one turns arguments into calls and errors into
// sentences, and exits with 0 (done), 1 (done, with findings) or 2 (bad usage or
// bad input, or it could not be done).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"onoma/telemetry/journal"
)

// The exit statuses.
const (
	exitDone     = 0
	exitFindings = 1
	exitBad      = 2
)

type commandLine struct {
	Authority authorityCmd `cmd:"" group:"Serve" help:"Serve zone files: an authoritative name server."`
	Serve     serveCmd     `cmd:"" group:"Serve" help:"Serve what a configuration file says: zones that change, kept in a database."`
	Resolver  resolverCmd  `cmd:"" group:"Serve" help:"Resolve names for others: a recursive resolver."`
	Ctl       ctlCmd       `cmd:"" group:"Serve" help:"Talk to a server that runs: status, counts, zones, reload."`
	Lab       labCmd       `cmd:"" group:"Serve" help:"Run the whole DNS on this machine, and change it."`
	Query     queryCmd     `cmd:"" group:"Look" help:"Ask one question, with dig's habits."`
	Trace     traceCmd     `cmd:"" group:"Look" help:"Follow a name from the root to its answer, hop by hop."`
	Check     checkCmd     `cmd:"" group:"Look" help:"Find what is wrong with a zone, its delegation and its chain of trust."`
	Zone      zoneCmd      `cmd:"" group:"Zone files" help:"Check, format and compare zone files."`
	Config    configCmd    `cmd:"" group:"Serve" help:"Check a configuration file, or make one of another server's."`
	Restore   restoreCmd   `cmd:"" group:"Serve" help:"Make a server's database of a backup."`
	Version   versionCmd   `cmd:"" group:"About" help:"Say which onoma this is."`
}

const description = `The Domain Name System in one program.

Start with "onoma lab": it runs the whole DNS, from thirteen root servers down, on this machine,
and says how to ask it. "onoma COMMAND --help" tells more about each command.`

// app is what verbs work with.
type app struct {
	ctx     context.Context // ends on SIGINT and SIGTERM
	stdout  io.Writer
	stderr  io.Writer
	log     *slog.Logger
	journal *journal.Journal // what log writes to while a server runs
	logFile *logFile         // that the journal writes to, nil: to stderr
}

func main() { os.Exit(run()) }

// run is main as a function that returns the exit status.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{ctx: ctx, stdout: os.Stdout, stderr: os.Stderr, log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	return a.run(os.Args[1:])
}

func (a *app) run(args []string) int {
	var c commandLine
	parser, err := kong.New(&c,
		kong.Name("onoma"),
		kong.Description(description),
		kong.Writers(a.stdout, a.stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Bind(a),
	)
	if err != nil {
		return a.report(err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		return a.report(usage(err))
	}
	return a.report(k.Run())
}

// errFindings ends a verb that has done its work, and has told of findings.
var errFindings = errors.New("there are findings")

// hinted is an error with advice on what to do next.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

func hint(err error, format string, args ...any) error {
	return hinted{err, fmt.Sprintf(format, args...)}
}

// usage adds to kong's complaint where the right usage is told.
func usage(err error) error {
	command := "onoma"
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if node := p.Context.Selected(); node != nil {
			command = node.FullPath()
		}
	}
	return hint(err, "%s --help tells how", command)
}

// report says what went wrong, if anything did, and returns the exit status.
func (a *app) report(err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errFindings) {
		return exitFindings
	}
	fmt.Fprintf(a.stderr, "onoma: %v\n", err)
	var h hinted
	if errors.As(err, &h) {
		fmt.Fprintf(a.stderr, "  hint: %s\n", h.hint)
	}
	return exitBad
}
