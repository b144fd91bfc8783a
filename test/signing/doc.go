// Package signing proves that the whole server keeps zones signed, and their chains of trust whole, together with other makes: as a
// child of BIND and of Knot, as the parent of either, and alone on both sides. Unbound asks all the time while keys, algorithms and
// parents change, and never finds anything bogus; delv, which has no cache, asks now and then.
package signing
