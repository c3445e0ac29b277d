package policy

import "sync"

// memo keeps what was made once, for every goroutine that asks again. Its zero
// value is empty.
type memo[K comparable, V any] struct{ made sync.Map } // K -> func() V

// of is what there is for a key; it is made at the first call.
func (m *memo[K, V]) of(key K, produce func() V) V {
	if v, ok := m.get(key); ok {
		return v
	}
	once, _ := m.made.LoadOrStore(key, sync.OnceValue(produce))
	return once.(func() V)()
}

// get is false if nobody has asked for the key yet.
func (m *memo[K, V]) get(key K) (v V, ok bool) {
	once, ok := m.made.Load(key)
	if !ok {
		return v, false
	}
	return once.(func() V)(), true
}
