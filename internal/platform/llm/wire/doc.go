// Package wire holds what the model providers that speak HTTP share: a call that is watched for
// silence and ends with its context, failures in the words of the llm port, keys kept out of every
// message, and tool calls assembled from their pieces.
//
// A call goes through three states. Silence counts only while something is awaited from the
// provider; a slow reader on our side is never mistaken for a silent provider.
//
//	Begin ──► awaiting headers ──► streaming ──► End
//	              │ silence: timeout   │ silence: timeout, cut: overloaded
//	              │ status ≥ 300       │ error object
//	              └──────► Failure ◄───┘   context ended: Interrupted
package wire
