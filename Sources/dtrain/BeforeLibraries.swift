import CLinux

/// Called by the dynamic linker before the initialisers of any library, OpenBLAS's among them.
///
/// Its body is one C function, as Swift's runtime is not initialised yet either.
@section(".preinit_array") @used
private let beforeLibraries:
    @convention(c) (
        Int32, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    ) -> Void = { _, arguments, environment in dtrain_before_libraries(arguments, environment) }
