package auth

import (
	"crypto/sha256"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/larirun/lari/internal/platform/fault"
)

const (
	tokenCacheSize = 10_000
	// tokenCacheLife bounds how long a token outlives the withdrawal of its key.
	tokenCacheLife = time.Minute
)

// tokenCache remembers tokens that held, by hash: the tokens themselves are not kept in memory. Tokens
// that did not hold are never entered, so garbage cannot push good ones out.
type tokenCache struct {
	entries *lru.Cache[[sha256.Size]byte, tokenEntry]
}

type tokenEntry struct {
	principal *Principal
	until     time.Time
}

func newTokenCache() (*tokenCache, error) {
	entries, err := lru.New[[sha256.Size]byte, tokenEntry](tokenCacheSize)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "token cache")
	}
	return &tokenCache{entries: entries}, nil
}

// get gives nil for a token that is not known or no longer fresh.
func (c *tokenCache) get(sum [sha256.Size]byte, now time.Time) *Principal {
	e, ok := c.entries.Get(sum)
	if !ok || !now.Before(e.until) {
		return nil
	}
	return e.principal
}

func (c *tokenCache) add(sum [sha256.Size]byte, p *Principal, now time.Time) {
	until := now.Add(tokenCacheLife)
	if p.ExpiresAt.Before(until) {
		until = p.ExpiresAt
	}
	c.entries.Add(sum, tokenEntry{principal: p, until: until})
}
