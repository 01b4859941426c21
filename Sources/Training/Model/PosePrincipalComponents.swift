import HandData
import Memory
import Networks
import System

/// The mean and the principal components of training poses, in the network's units.
///
/// A sample of the training set goes through the pipeline, varied as in training; the covariance's eigenvectors come from
/// Jacobi's method, in Double, one thread: the same bits on all ranks.
enum PosePrincipalComponents {
    /// Poses that are looked at, at most.
    private static let most = 2_000

    /// - Throws: `TrainingFailure` when no pose can be read.
    static func find(
        _ source: any FrameSource, pipeline: SamplePipeline, seed: UInt64, count: Int, team: WorkerTeam
    ) throws -> PoseStatistics {
        let poses = sample(source, pipeline, seed, team)
        guard poses.count > count else {
            throw TrainingFailure(
                "\(poses.count) training poses are too few for a basis of \(count) components; hint: more frames, or another network")
        }
        let width = HandLabel.valueCount
        var mean = [Double](repeating: 0, count: width)
        for pose in poses { for index in 0..<width { mean[index] += Double(pose[index]) } }
        for index in 0..<width { mean[index] /= Double(poses.count) }
        var covariance = [Double](repeating: 0, count: width * width)
        for pose in poses {
            for row in 0..<width {
                let factor = Double(pose[row]) - mean[row]
                for column in row..<width { covariance[row * width + column] += factor * (Double(pose[column]) - mean[column]) }
            }
        }
        for row in 0..<width {
            for column in row..<width {
                covariance[row * width + column] /= Double(poses.count)
                covariance[column * width + row] = covariance[row * width + column]
            }
        }
        let vectors = SymmetricEigenvectors.find(covariance, size: width)
        return PoseStatistics(mean: mean.map(Float.init), components: vectors.prefix(count).map { $0.map(Float.init) })
    }

    /// The mean pose in the network's units.
    static func mean(_ source: any FrameSource, pipeline: SamplePipeline, seed: UInt64, team: WorkerTeam) -> [Float] {
        let poses = sample(source, pipeline, seed, team)
        return (0..<HandLabel.valueCount).map { index in
            Float(poses.reduce(0) { $0 + Double($1[index]) } / Double(max(1, poses.count)))
        }
    }

    private static func sample(
        _ source: any FrameSource, _ pipeline: SamplePipeline, _ seed: UInt64, _ team: WorkerTeam
    ) -> [[Float]] {
        let count = min(most, source.count)
        let size = pipeline.inputSize(width: source.width, height: source.height)
        let scratches = (0..<team.count).map { _ in SampleScratch(width: source.width, height: source.height) }
        let inputs = (0..<team.count).map { _ in UnsafeMutableBufferPointer<Float>.allocate(capacity: size.width * size.height) }
        let labels = UnsafeMutableBufferPointer<Float>.allocate(capacity: count * HandLabel.valueCount)
        let isRead = UnsafeMutableBufferPointer<Bool>.allocate(capacity: count)
        defer {
            for input in inputs { input.deallocate() }
            labels.deallocate()
            isRead.deallocate()
        }
        team.forEach(count) { item, thread in
            let index = item * source.count / count
            let label = UnsafeMutableBufferPointer(
                rebasing: labels[item * HandLabel.valueCount..<(item + 1) * HandLabel.valueCount])
            do throws(BadSample) {
                try pipeline.prepare(
                    source, index: index,
                    variation: pipeline.variation(seed: seed, position: UInt64(index), count: source.count),
                    scratch: scratches[thread], input: inputs[thread], label: label)
                isRead[item] = true
            } catch {
                isRead[item] = false
            }
        }
        return (0..<count).filter { isRead[$0] }.map { item in
            Array(labels[item * HandLabel.valueCount..<(item + 1) * HandLabel.valueCount])
        }
    }
}

/// Eigenvectors of a symmetric matrix by Jacobi's cyclic rotations.
enum SymmetricEigenvectors {
    private static let sweeps = 60

    /// - Parameter matrix: (size, size), symmetric.
    /// - Returns: unit vectors, by descending eigenvalue; the largest component of each is positive.
    static func find(_ matrix: [Double], size: Int) -> [[Double]] {
        var a = matrix
        var vectors = (0..<size).map { row in (0..<size).map { $0 == row ? 1.0 : 0.0 } }
        for _ in 0..<sweeps {
            var off = 0.0
            for p in 0..<size { for q in p + 1..<size { off += a[p * size + q] * a[p * size + q] } }
            guard off > 1e-30 else { break }
            for p in 0..<size - 1 {
                for q in p + 1..<size where a[p * size + q] != 0 {
                    let theta = (a[q * size + q] - a[p * size + p]) / (2 * a[p * size + q])
                    let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
                    let c = 1 / (t * t + 1).squareRoot()
                    let s = t * c
                    for k in 0..<size {
                        let (kp, kq) = (a[k * size + p], a[k * size + q])
                        a[k * size + p] = c * kp - s * kq
                        a[k * size + q] = s * kp + c * kq
                    }
                    for k in 0..<size {
                        let (pk, qk) = (a[p * size + k], a[q * size + k])
                        a[p * size + k] = c * pk - s * qk
                        a[q * size + k] = s * pk + c * qk
                    }
                    for k in 0..<size {
                        let (vp, vq) = (vectors[p][k], vectors[q][k])
                        vectors[p][k] = c * vp - s * vq
                        vectors[q][k] = s * vp + c * vq
                    }
                }
            }
        }
        let order = (0..<size).sorted { a[$0 * size + $0] > a[$1 * size + $1] }
        return order.map { index in
            let vector = vectors[index]
            let largest = vector.max { abs($0) < abs($1) } ?? 1
            return largest < 0 ? vector.map { -$0 } : vector
        }
    }
}
