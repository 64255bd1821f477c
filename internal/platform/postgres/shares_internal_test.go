package postgres

import (
	"testing"

	"github.com/google/uuid"
)

// Where several tenants have every connection, the next one is not behind their queues but has its turn.
func TestShares_ServeTenantsInTurn(t *testing.T) {
	t.Parallel()
	s := newShares(8)
	flood, other, quiet := uuid.New(), uuid.New(), uuid.New()
	var holders []uuid.UUID
	for _, tenant := range []uuid.UUID{flood, other} {
		for range 104 {
			if s.enter(tenant) == nil {
				holders = append(holders, tenant)
			}
		}
	}
	if len(holders) != 8 || s.tenants[flood].held != 4 || len(s.tenants[other].waiting) != 100 {
		t.Fatalf("%d connections are out, %d with the first flood, %d of the other wait", len(holders), s.tenants[flood].held, len(s.tenants[other].waiting))
	}
	turn := s.enter(quiet)
	if turn == nil {
		t.Fatal("there was a ninth connection")
	}
	for released := 1; ; released++ {
		if released > 3 { // each of the two floods goes before it at most once
			t.Fatal("the quiet tenant has no turn after three connections came free")
		}
		s.release(holders[released-1])
		select {
		case <-turn:
			return
		default:
		}
	}
}
