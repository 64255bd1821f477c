package event

// Payload gives the zero value of what the data of an event of the type holds, for the description of the
// API; nil for a type that is not in the list.
func (t Type) Payload() any {
	switch t {
	case RunStarted:
		return Started{}
	case RunProgress:
		return Progress{}
	case RunCompleted:
		return Completed{}
	case RunError:
		return Failed{}
	case RunCancelled:
		return Cancelled{}
	case MessageDelta, ReasoningDelta:
		return Delta{}
	case MessageCompleted:
		return Message{}
	case ToolCallStarted:
		return ToolStarted{}
	case ToolCallCompleted:
		return ToolCompleted{}
	case ApprovalRequested:
		return ApprovalAsked{}
	case ApprovalResolved:
		return ApprovalAnswer{}
	case MessageReceived:
		return Received{}
	case AttemptRestarted:
		return Restarted{}
	}
	return nil
}
