// Package transfer tests zone transfers and NOTIFY between onoma and the name
// servers of this distribution: whatever changes, in the end all have the same
// records.
package transfer
