package egress

import "io"

// ReadBounded reads at most limit bytes; cut says that there were more. When the sender breaks off or
// stalls, what came until then is returned together with the *fault.Error.
func ReadBounded(body io.Reader, limit int64) (data []byte, cut bool, err error) {
	data, err = io.ReadAll(io.LimitReader(body, limit+1))
	if int64(len(data)) > limit {
		return data[:limit], true, nil
	}
	return data, false, Fault(err)
}
