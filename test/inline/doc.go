// Package inline holds whole servers, as processes of `onoma serve`, to what is
// promised of a zone that is signed on its way through: a hidden primary is changed, a
// second server fetches, signs and gives the zone, and is killed again and again. What
// it serves in the end is what the primary has, signed, and right to a verifier.
package inline
