// Package diff compares what sidecars are told, by keys and by meaning.
//
// Nothing is compared by its position. A listener goes by direction and name, a
// filter chain by its match, a filter by name (RBAC filters by action too), a
// rule by its id, a JWT provider by issuer, since names are positions (EC-65), a
// virtual host and a cluster by name, a route by name or match, an endpoint by
// workload and port or by address, a secret by name. Secrets are never shown.
//
// Where one side is rendered from manifests and the other is not, Istio's own
// filters (stats, metadata exchange, ALPN) are left out: manifests have none.
//
// Each line is tagged, and each part by the same definitions; whatever part is
// looser is in a line that is:
//
//	looser    lets in what was refused, or may: all that is not understood is taken for it
//	tighter   refuses what was let in
//	routing   leads requests elsewhere
//	cosmetic  names, statistics, logs, dry runs
//
// What is decided by meaning:
//
//	mTLS of an inbound port     by what it takes: DISABLE plaintext, STRICT mTLS, PERMISSIVE both;
//	                            looser if that has more, or no caller has an identity any more; tighter
//	                            if it has less. From DISABLE to STRICT is both, to DISABLE looser
//	port that annotations keep  looser, no longer kept tighter; only where both sides are manifests
//	from the sidecar
//	inspectors of first bytes   as the modes of the ports, else cosmetic; looser if a chain needs one that is not there
//	chains of an inbound port   as its mode; looser if another filter, or the kind of traffic, changes with them
//	kind of traffic of a port   HTTP or TCP: another is looser, as is a port that a Service declares or does no longer
//	mTLS of an endpoint         offered tighter, no longer offered looser
//	trust domains of clients    more looser, fewer tighter
//	path normalization          more tighter, less looser
//	JWT provider                new looser (another issuer counts), gone tighter
//	JWT filter                  new tighter, and looser if a rule lets in, or spares, who has a token; gone the other way
//	audiences of a provider     fewer tighter, more or none looser
//	keys of a provider          new looser, gone tighter; never shown
//	places of tokens            new tighter, as bad tokens there are refused, and looser if a rule lets in, or
//	                            spares, who has one; gone the other way
//	headers that tokens set     new tighter, as clients cannot send them, gone or other looser; both if rules look at them
//	tokens passed on            cosmetic
//	ALLOW filter                new tighter, gone looser
//	ALLOW rule, alternative     new looser, gone tighter
//	DENY, CUSTOM rule           new tighter, gone looser
//	rules of one action         what they match together, or each: more is looser for ALLOW and tighter
//	                            for others. A text covers another if all that fits that one fits it
//	AUDIT rule, dry run         cosmetic
//	TLS of a cluster            from plaintext tighter, to plaintext looser
//	SANs of a cluster           fewer tighter, more or none looser
//	retries and HTTP/2 of what comes in: routing
//	clusters, routes, virtual hosts, endpoints, outbound listeners: routing
//	names of chains, statistics, tracing, access logs: cosmetic
//	all else of inbound listeners, TLS and unknown extensions: looser
package diff
