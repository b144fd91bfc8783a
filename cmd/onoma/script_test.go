package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"onoma/telemetry/control"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"onoma": main})
}

// TestScripts runs the command line as people do: each file of testdata is one
// story. Besides the usual commands of testscript there are:
//
//	exits STATUS COMMAND...   run it, and expect this exit status
//	expand FILE...            put variables of the environment in place of $NAME and ${NAME} in files
//	start NAME COMMAND...     run it in the background, and go on when it logs "ready";
//	                          $NAME is the address in its log; $NAME_udp, $NAME_tls and so on are
//	                          the first of a transport, $NAME_tls_port its port
//	log NAME TEXT             go on when its log has TEXT
//	until TEXT COMMAND...     run it again and again until its output has TEXT
//	hup NAME TEXT             send it SIGHUP, and go on when it logs TEXT
//	keytag FILE ROLE NAME     $NAME is the tag of the first key of a role in what "onoma zone keys --json" has written
//	mode FILE OCTAL           expect these permissions
//	end NAME                  send it SIGTERM, and expect exit status 0; its log is the file NAME.log
//
// The word stop is testscript's own: it ends the script there, as passed.
func TestScripts(t *testing.T) {
	wholeScripts(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "expand": expand, "start": startServer, "log": logged, "hup": hup, "end": end, "until": until,
			"keytag": keyTag, "mode": mode,
		},
	})
}

// wholeScripts refuses scripts that end half-way because of a word that was meant to end a server.
func wholeScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains("\n"+string(text), "\nstop ") {
			t.Errorf("%s: \"stop NAME\" ends the script there; \"end NAME\" ends the server", file)
		}
	}
}

// until waits for what comes in its own time, as what a cache forgets.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until TEXT COMMAND...")
	}
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		if time.Since(begun) > 20*time.Second {
			ts.Fatalf("%s has never said %q: %v", strings.Join(args[1:], " "), args[0], err)
		}
	}
}

// servers are the background programs of one script.
type servers map[string]*server

type serversKey struct{}

func setUp(env *testscript.Env) error {
	// An own address each, so that scripts at the same time are not in each other's way.
	host := "127." + strconv.Itoa(160+rand.IntN(80)) + "." + strconv.Itoa(rand.IntN(256)) + "." + strconv.Itoa(1+rand.IntN(250))
	env.Setenv("HOST", host)
	port := 20000 + rand.IntN(10000)
	env.Setenv("LABPORT", strconv.Itoa(port))
	env.Setenv("PORT1", strconv.Itoa(port+1))
	env.Setenv("PORT2", strconv.Itoa(port+2))
	shared := os.Getenv("ONOMA_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	if abs, err := filepath.Abs(shared); err == nil {
		env.Setenv("SHARED", abs)
	}
	running := servers{}
	env.Values[serversKey{}] = running
	env.Defer(func() {
		for _, s := range running {
			_ = s.cmd.Process.Kill()
			<-s.ended
		}
	})
	return nil
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, expected %d", got, want)
	}
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE...")
	}
	for _, file := range args {
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(os.Expand(ts.ReadFile(file), ts.Getenv)), 0o644))
	}
}

// server is a background program and its log, which is standard error.
type server struct {
	cmd    *exec.Cmd
	stdout strings.Builder
	ended  chan struct{} // closed when it has ended
	err    error         // of ending

	mu   sync.Mutex
	log  strings.Builder
	line chan struct{} // has something after a line came
}

func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME COMMAND...")
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	s := &server{cmd: exec.Command(path, args[2:]...), ended: make(chan struct{}), line: make(chan struct{}, 1)}
	s.cmd.Dir = ts.Getenv("WORK")
	s.cmd.Stdout = &s.stdout
	pipe, err := s.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Value(serversKey{}).(servers)[args[0]] = s
	go func() {
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			select {
			case s.line <- struct{}{}:
			default:
			}
		}
		s.err = s.cmd.Wait()
		close(s.ended)
	}()
	line := s.await(ts, 0, "msg=ready")
	for word := range strings.FieldsSeq(line) {
		for _, key := range []string{"addresses=", "resolver="} {
			if addr, ok := strings.CutPrefix(word, key); ok {
				ts.Setenv(args[0], addr)
				setAddresses(ts, args[0], addr)
			}
		}
	}
}

// setAddresses makes a variable of the first address of each transport in a list.
func setAddresses(ts *testscript.TestScript, name, list string) {
	for _, addr := range slices.Backward(strings.Split(list, ",")) {
		scheme, rest, ok := strings.Cut(addr, "://")
		if !ok {
			scheme, rest = "udp", addr
		}
		rest, _, _ = strings.Cut(rest, "/")
		ts.Setenv(name+"_"+scheme, rest)
		if _, port, err := net.SplitHostPort(rest); err == nil {
			ts.Setenv(name+"_"+scheme+"_port", port)
		}
	}
}

// await returns the first line behind the log's first skip octets that has text in it.
func (s *server) await(ts *testscript.TestScript, skip int, text string) string {
	timeout := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		log := s.log.String()
		s.mu.Unlock()
		for line := range strings.Lines(log[skip:]) {
			if strings.Contains(line, text) {
				return line
			}
		}
		select {
		case <-s.line:
		case <-s.ended:
			ts.Fatalf("it ended (%v) without logging %q:\n%s", s.err, text, log)
		case <-timeout:
			ts.Fatalf("it does not log %q:\n%s", text, log)
		}
	}
}

func running(ts *testscript.TestScript, name string) *server {
	s := ts.Value(serversKey{}).(servers)[name]
	if s == nil {
		ts.Fatalf("%s was not started", name)
	}
	return s
}

func logged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: log NAME TEXT")
	}
	running(ts, args[0]).await(ts, 0, args[1])
}

func hup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: hup NAME TEXT")
	}
	s := running(ts, args[0])
	s.mu.Lock()
	skip := s.log.Len()
	s.mu.Unlock()
	ts.Check(s.cmd.Process.Signal(syscall.SIGHUP))
	s.await(ts, skip, args[1])
}

func keyTag(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: keytag FILE ROLE NAME")
	}
	var v control.KeysView
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	i := slices.IndexFunc(v.Keys, func(k control.Key) bool { return k.Role == args[1] })
	if i < 0 {
		ts.Fatalf("%s has no key of role %s", v.Zone, args[1])
	}
	ts.Setenv(args[2], strconv.Itoa(int(v.Keys[i].Tag)))
}

func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE OCTAL")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, expected %s", args[0], got, args[1])
	}
}

func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: end NAME")
	}
	s := running(ts, args[0])
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		ts.Fatalf("%s goes on 20 s after SIGTERM", args[0])
	}
	if s.err != nil {
		ts.Fatalf("%s ended with %v, expected exit status 0:\n%s", args[0], s.err, s.log.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".log"), []byte(s.log.String()), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(s.stdout.String()), 0o644))
	delete(ts.Value(serversKey{}).(servers), args[0])
}
