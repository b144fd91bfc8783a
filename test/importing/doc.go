// Package importing has BIND, NSD, Knot and PowerDNS serve zones by configurations
// of their own, has "onoma config import" carry each over, and compares what
// "onoma serve" answers then. Tests only.
package importing
