package activities

import (
	"encoding/json"

	"github.com/larirun/lari/internal/platform/llm"
)

// providerData is what a provider wants back with a step, as it is stored.
type providerData struct {
	Turn  json.RawMessage `json:"turn,omitempty"`
	Calls map[int]string  `json:"calls,omitempty"` // by the position of the call in its step
}

// encodeProviderData returns what a turn has of it; nil: nothing.
func encodeProviderData(done *llm.Done, calls []llm.ToolCall) []byte {
	data := providerData{Turn: done.ProviderData}
	for _, c := range done.Unfinished {
		calls = append(calls[:len(calls):len(calls)], c.ToolCall)
	}
	for position, c := range calls {
		if c.ProviderData != "" {
			if data.Calls == nil {
				data.Calls = map[int]string{}
			}
			data.Calls[position] = c.ProviderData
		}
	}
	if data.Turn == nil && data.Calls == nil {
		return nil
	}
	encoded, err := json.Marshal(data)
	if err != nil { // it is JSON of the provider's that was read before
		return nil
	}
	return encoded
}

// decodeProviderData reads what was stored; what cannot be read is nothing.
func decodeProviderData(stored []byte) providerData {
	var data providerData
	if len(stored) == 0 || json.Unmarshal(stored, &data) != nil {
		return providerData{}
	}
	return data
}
