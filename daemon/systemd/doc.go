// Package systemd talks to the service manager that has started the server: that it
// is ready, reloads, stops or is healthy (sd_notify(3)), and which sockets it has
// been given (sd_listen_fds(3)). Without a service manager all of it does nothing.
//
// Concurrency: all methods may be called by any goroutine.
package systemd
