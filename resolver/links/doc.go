// Package links knows what a machine has been told of DNS on each of its network
// links: servers, domains to search, and domains that only the servers of one link
// know, as those of a VPN.
//
// It reads what systemd-networkd, resolvconf and openresolv keep for each link, and
// files like /etc/resolv.conf, and makes a Plan of it: whom to ask for which names.
// It is pure: files come from an fs.FS, and nothing is watched.
//
// Formats: resolv.conf(5), the state files of systemd-networkd. What cannot be read
// is left out and told of; no file is believed beyond its bounds.
package links
