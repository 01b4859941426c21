extension ConvolutionPool {
    /// Share of the pooling windows of an image, (height, width), that may see something other than background.
    package func activeShare(_ image: UnsafePointer<Float>) -> Double {
        let count = ActiveWindows.boundCount(rows: pooledHeight, capacity: 1)
        return withUnsafeTemporaryAllocation(of: Int32.self, capacity: count) { bounds in
            let windows = ActiveWindows(
                rows: pooledHeight, columns: pooledWidth, capacity: 1, bounds: bounds.baseAddress!)
            findActive(image, number: 0, in: windows)
            return windows.share(images: 1)
        }
    }
}
