/// Messages beside the collectives: in a message space of their own, so that they come and go at any time, in no order with the
/// others. They move when somebody looks (`poll`), or when this rank waits in another call.
///
/// Messages of one pair of ranks arrive in the order in which they were started. What they send is not counted in `traffic`.
package protocol SideMessages: AnyObject {
    /// Starts to send; `bytes` must stay unchanged until it is done.
    func startSend(_ bytes: UnsafeRawBufferPointer, to destination: Int) throws(CollectiveError) -> any PendingExchange

    /// Starts to receive a message of this length; `bytes` must stay until it is done.
    func startReceive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError) -> any PendingExchange
}

/// Of MPI: `MPI_Isend` and `MPI_Irecv` on a duplicated communicator.
final class MPISideMessages: SideMessages {
    private let group: MPIGroup

    init(_ group: MPIGroup) { self.group = group }

    func startSend(_ bytes: UnsafeRawBufferPointer, to destination: Int) throws(CollectiveError) -> any PendingExchange {
        let messages = group.messages()
        try messages.send(bytes, to: destination)
        return MPISideMessage(messages)
    }

    func startReceive(_ bytes: UnsafeMutableRawBufferPointer, from source: Int) throws(CollectiveError) -> any PendingExchange {
        let messages = group.messages()
        try messages.receive(bytes, from: source)
        return MPISideMessage(messages)
    }
}

private final class MPISideMessage: PendingExchange {
    private let messages: MPIMessages

    init(_ messages: MPIMessages) { self.messages = messages }

    func poll() throws(CollectiveError) -> Bool { try messages.poll() }
    func finish() throws(CollectiveError) { try messages.wait() }
}
