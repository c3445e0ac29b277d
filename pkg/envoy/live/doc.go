// Package live runs the configuration of sidecars in a real Envoy on loopback,
// with throwaway certificates and applications that answer whoever asks, and
// asks it the requests that package policy decides.
//
//	sidecars, err := live.Start(ctx, generator, workloads, live.Options{Binary: envoy})
//	defer sidecars.Close()
//	answers, err := sidecars.Ask(ctx, requests)
//
// An answer is what the client saw and what Envoy's own access log says, in the
// words of package policy: so that a proof in Envoy is a proof of the simulator.
package live
