// Package year is a year in the life of a signed zone, by a clock that runs fast: edited each day, its signatures refreshed,
// its keys rolled over in every way and lost, its algorithm changed to every other, its denial of existence too, unsigned and signed
// again. The product's own parts do it (signer.Keeper with its key rings, key store and zone/sign); secondaries lag, the
// parent takes its time. Every hour resolvers with caches of all ages look names up: those of the model, and Unbound, which runs all
// year by the same clock (testdata/clock.c) and has its own cache; delv has none and looks at some of the hours. Nobody ever finds
// the zone bogus. After each step the tools of BIND, NLnet Labs, CZ.NIC and validns judge the whole zone.
package year
