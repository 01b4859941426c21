import Telemetry

/// Frames that are known by heart: the held-out error grows while that of training falls.
struct OverfittingDetector: TrainingDetector {
    private var best = Double.infinity
    private var trainingAtBest = Double.infinity
    private var worse = 0
    /// Validations since the held-out error last fell by 5%, and the error of training then.
    private var stuck = 0
    private var mark = (heldOut: Double.infinity, training: Double.infinity)

    mutating func look(_ facts: TrainingFacts, _ run: RunFacts) -> String? {
        guard let heldOut = facts.heldOut, let training = facts.recentError else { return nil }
        if heldOut < 0.95 * mark.heldOut { (mark, stuck) = ((heldOut, training), 0) } else { stuck += 1 }
        if stuck >= 3, heldOut > 1.8 * training, training < 0.85 * mark.training {
            return "the held-out joint error stays at " + format("%.1f mm", heldOut) + ", while that of training has fallen from "
                + format("%.1f", mark.training) + " to " + format("%.1f mm", training) + Self.cure
        }
        if heldOut < best {
            (best, trainingAtBest, worse) = (heldOut, training, 0)
            return nil
        }
        guard heldOut > 1.03 * best, training < 0.95 * trainingAtBest, heldOut > 1.3 * training else {
            worse = 0
            return nil
        }
        worse += 1
        guard worse >= 2 else { return nil }
        return "the held-out joint error has grown from " + format("%.1f", best) + " to " + format("%.1f mm", heldOut)
            + ", while that of training has fallen to " + format("%.1f mm", training) + Self.cure
    }

    private static let cure =
        ": the network learns its frames by heart; hint: more frames, --augment strong with crops, a smaller network, or stop here: "
        + "checkpoints/best is of the best step"
}
