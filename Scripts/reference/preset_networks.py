"""The networks of presets.py, as their papers have them, apart from dtrain's own code; parameters have dtrain's names and layouts."""

from preset_layers import JOINTS, OUTPUTS


def deep_prior(net, x):
    """Oberweger et al. 2015, figure 1c: three convolutions, two dense layers of 1024, 30 coordinates in a basis of poses."""
    x = net.max_pooling(net.convolution("conv1", x, 8, 5, padding="valid"), 4, rectified=True)
    x = net.max_pooling(net.convolution("conv2", x, 8, 5, padding="valid"), 2, rectified=True)
    x = net.relu(net.convolution("conv3", x, 8, 3, padding="valid"))
    x = net.dropout(net.relu(net.dense("fc1", x, 1024)), 0.3, scaled=False)
    x = net.dropout(net.relu(net.dense("fc2", x, 1024)), 0.3, scaled=False)
    return net.pose_basis("basis", net.dense("fc3", x, 30, gain=1.0))


def ren(units):
    """Guo et al. 2017: a residual trunk, two dense layers for each quadrant, one over all."""

    def block(net, x, number, channels):
        x = net.relu(net.convolution(f"widen{number}", x, channels, 1))
        body = lambda a: net.convolution("conv2", net.relu(net.convolution("conv1", a, channels, 3)), channels, 3)
        return net.residual(f"residual{number}", x, body)

    def region(net, rows, columns):
        def body(x):
            x = net.slice(x, (slice(None), rows, columns))
            x = net.dropout(net.relu(net.dense("fc1", x, units)), 0.5, scaled=True)
            return net.dropout(net.relu(net.dense("fc2", x, units)), 0.5, scaled=True)

        return body

    def network(net, x):
        x = net.relu(net.convolution("conv1", x, 16, 3))
        x = net.max_pooling(net.convolution("conv2", x, 16, 3), 2, rectified=True)
        x = net.max_pooling(block(net, x, 2, 32), 2, rectified=True)
        x = net.max_pooling(block(net, x, 3, 64), 2, rectified=True)
        half = x.shape[1] // 2
        low, high = slice(0, half), slice(half, 2 * half)
        quadrants = [region(net, rows, columns) for rows in (low, high) for columns in (low, high)]
        return net.dense("fc", net.branches("regions", x, *quadrants), OUTPUTS, gain=1.0)

    return network


def dense(net, x):
    """Fang et al. 2020, JGR-P2O with two stacks."""

    def bottleneck(name, x, outputs=128):
        inputs = x.shape[-1]

        def body(y):
            y = net.normalized("conv1", y, outputs // 2, 1)
            y = net.normalized("conv2", y, outputs // 2, 3)
            return net.normalized("conv3", y, outputs, 1, rectified=False)

        skip = None if inputs == outputs else lambda y: net.normalized("conv", y, outputs, 1, rectified=False)
        return net.relu(net.residual(name, x, body, skip))

    def hourglass(x, depth):
        def body(y):
            y = bottleneck("down", net.max_pooling(y, 2))
            if depth > 1:
                y = hourglass(y, depth - 1)
            return net.upsampling(bottleneck("up", y))

        return net.residual("hourglass", x, body, lambda y: bottleneck("beside", y))

    def stack(x):
        x = bottleneck("features", hourglass(x, 3))
        votes = lambda y: net.branches(
            "votes", y, lambda z: net.convolution("scores", z, JOINTS, 1, gain=16.0),
            lambda z: net.normalized("features", z, 128, 1))
        # y; then w and the joints' features spread over the map, m
        x = net.branches("reasoning", x, lambda y: y, lambda y: net.joint_graph("graph", votes(y)))
        channels = lambda y, first, end: net.slice(y, (..., slice(first, end)))
        joints = lambda y: net.normalized("conv", channels(y, 128 + JOINTS, 256 + JOINTS), 128, 1)
        join = lambda y: net.branches("join", y, joints, lambda z: channels(z, 0, 128))
        return net.branches(
            "features2", x, lambda y: channels(y, 128, 128 + JOINTS),
            lambda y: net.normalized("conv", join(y), 128, 1))

    def maps(x, with_features):
        weights = lambda y: net.slice(y, (..., slice(0, JOINTS)))
        features = lambda y: net.slice(y, (..., slice(JOINTS, JOINTS + 128)))
        offsets = lambda y: net.convolution("offsets", features(y), OUTPUTS, 1, bias=False, gain=0.125)
        return net.branches("maps", x, weights, offsets, *([features] if with_features else []))

    def first(x):
        x = maps(stack(x), True)
        own = net.slice(x, (..., slice(0, 4 * JOINTS)))
        net.outputs.append(net.soft_argmax(own, depth=True, normalized=True).reshape(len(x), OUTPUTS))
        return net.convolution("merge", x, 128, 1)

    x = net.normalized("stem", x, 32, 7, stride=2)
    x = net.max_pooling(bottleneck("block1", x, 64), 2)
    x = bottleneck("block3", bottleneck("block2", x, 64), 128)
    x = net.residual("stack1", x, first)
    return net.soft_argmax(maps(stack(x), False), depth=True, normalized=True)


def hand(net, x):
    """dtrain's own: residual blocks, then soft-argmax with offsets."""

    def block(x, number, outputs, stride=1):
        def body(y):
            y = net.normalized("conv1", y, outputs, 3, stride)
            return net.normalized("conv2", y, outputs, 3, rectified=False)

        same = x.shape[-1] == outputs and stride == 1
        skip = None if same else lambda y: net.normalized("conv", y, outputs, 1, stride, rectified=False)
        return net.relu(net.residual(f"block{number}", x, body, skip))

    x = net.max_pooling(net.normalized("stem", x, 16, 5, stride=2), 2)
    x = block(block(x, 1, 32), 2, 64, stride=2)
    x = block(block(x, 3, 64), 4, 64)
    offsets = lambda y: net.convolution("offsets", net.relu(net.convolution("conv", y, 64, 3)), OUTPUTS, 1, gain=0.125)
    scores = lambda y: net.convolution("scores", y, JOINTS, 1)
    return net.soft_argmax(net.branches("maps", x, scores, offsets))


def tiny(net, x):
    """Docs/examples/tiny.yaml."""
    x = net.max_pooling(net.convolution("conv1", x, 8, 5, stride=2), 2, rectified=True)
    x = net.normalization("norm2", net.convolution("conv2", x, 24, 3, stride=2, bias=False), rectified=True)

    def body(y):
        y = net.normalization("batch-normalization1", net.convolution("convolution1", y, 24, 3, bias=False), rectified=True)
        return net.normalization("batch-normalization2", net.convolution("convolution2", y, 24, 3, bias=False))

    x = net.relu(net.residual("block3", x, body))
    x = net.branches(
        "maps", x, lambda y: net.convolution("scores", y, JOINTS, 1),
        lambda y: net.convolution("offsets", y, OUTPUTS, 3, gain=0.125))
    return net.soft_argmax(x)
