"""Slots against PEFT, which is the reference for what a LoRA computes."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from torch import Tensor, nn

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.slots import TEXT_LAYERS, UNET_LAYERS, WORD_LAYER, WORD_LAYERS, Bank, Slots

Weights = dict[str, tuple[Tensor, Tensor]]


def random_weights(bank: Bank, rank: int, seed: int) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (
            torch.randn(rank, *layer.in_shape, generator=generator) * 0.2,
            torch.randn(layer.out_features, rank, generator=generator) * 0.2,
        )
        for name, layer in bank.layers.items()
        if name not in WORD_LAYERS  # of rank 1, and not for PEFT
    }


def with_peft(network: nn.Module, prefix: str, weights: Weights) -> nn.Module:
    """Return a copy of the plain network with the same adapter put in by PEFT."""
    network = copy.deepcopy(network)
    names = [name.removeprefix(prefix + ".") for name in weights if name.startswith(prefix)]
    rank = next(iter(weights.values()))[0].shape[0]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=names), network)
    state = get_peft_model_state_dict(network)
    filled = {}
    for key, tensor in state.items():
        name, which = key.rsplit(".lora_", 1)
        down, up = weights[f"{prefix}.{name}"]
        filled[f"{name}.lora_{which.replace('.weight', '.default.weight')}"] = (
            down if which.startswith("A") else up
        ).reshape(tensor.shape)
    missing = network.load_state_dict(filled, strict=False)
    assert not missing.unexpected_keys
    return network


class Plain(nn.Module):
    """One linear layer for sequences, one for vectors, and two convolutions, named as in the U-Net."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q = nn.Linear(6, 5)
        self.conv1 = nn.Conv2d(4, 3, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 3, 3, stride=2, bias=False)


def toy(layers: str = r"(to_q|conv1|conv2)$") -> tuple[Plain, Plain, Slots]:
    import re

    torch.manual_seed(0)
    plain = Plain()
    fitted, slots = copy.deepcopy(plain), Slots()
    slots.install("toy", fitted, re.compile(layers))
    return plain, fitted, slots


def bank_of(slots: Slots, size: int = 4, rank: int = 4) -> Bank:
    return Bank(slots, size=size, rank=rank, device=torch.device("cpu"), dtype=torch.float32)


INPUTS = {
    "to_q": [torch.randn(3, 7, 6), torch.randn(3, 6)],
    "conv1": [torch.randn(3, 4, 8, 8)],
    "conv2": [torch.randn(3, 4, 9, 7)],
}


@pytest.mark.parametrize("layer", INPUTS)
def test_every_kind_of_layer_equals_peft_alone_and_in_a_mixed_batch(layer: str) -> None:
    plain, fitted, slots = toy()
    bank = bank_of(slots)
    people = [random_weights(bank, rank, seed=rank) for rank in (4, 2)]  # one of lower rank
    for slot, weights in enumerate(people, start=1):
        bank.load(slot, weights)
    alone = [with_peft(plain, "toy", weights) for weights in people]
    for x in INPUTS[layer]:
        base = plain.get_submodule(layer)(x)
        expected = [base, *(network.get_submodule(layer)(x) for network in alone)]
        for slot in range(3):
            with slots.use(bank, [slot] * 3):
                torch.testing.assert_close(fitted.get_submodule(layer)(x), expected[slot])
        with slots.use(bank, [2, 0, 1]):
            mixed = fitted.get_submodule(layer)(x)
        torch.testing.assert_close(mixed, torch.stack([expected[2][0], expected[0][1], expected[1][2]]))
        with slots.use(bank, [2, 0, 1], [0.5, 1.0, 0.25]):
            scaled = fitted.get_submodule(layer)(x)
        torch.testing.assert_close(scaled[0], base[0] + 0.5 * (expected[2][0] - base[0]))
        torch.testing.assert_close(scaled[2], base[2] + 0.25 * (expected[1][2] - base[2]))
        with slots.use(bank, [1], [0.5]):
            torch.testing.assert_close(fitted.get_submodule(layer)(x), base + 0.5 * (expected[1] - base))
        torch.testing.assert_close(fitted.get_submodule(layer)(x), base)  # outside of any assignment


def test_the_unet_and_the_text_encoder_equal_peft(base: BaseModel) -> None:
    plain = {"unet": copy.deepcopy(base.unet), "text_encoder": copy.deepcopy(base.text_encoder)}
    model = Resident(base)
    weights = random_weights(model.serving, 4, seed=1)
    model.serving.load(3, weights)
    reference = {prefix: with_peft(network, prefix, weights) for prefix, network in plain.items()}

    tokens = base.tokenize(["a dog", "a photo of sks dog"])
    latents, timesteps = torch.randn(2, 4, 8, 8), torch.tensor([7, 500])
    with torch.no_grad():
        text = [network(tokens).last_hidden_state for network in (plain["text_encoder"], reference["text_encoder"])]
        image = [network(latents, timesteps, text[0]).sample for network in (plain["unet"], reference["unet"])]
        with model.slots.use(model.serving, [0, 3]):
            mixed_text = base.encode_prompts(["a dog", "a photo of sks dog"])
            mixed_image = base.predict(latents, timesteps, text[0])
    for mixed, (without, with_adapter) in ((mixed_text, text), (mixed_image, image)):
        torch.testing.assert_close(mixed, torch.stack([without[0], with_adapter[1]]), atol=2e-5, rtol=1e-4)
        assert not torch.allclose(without[1], with_adapter[1], atol=1e-2)


def test_gradients_equal_pefts_and_reach_no_other_slot() -> None:
    plain, fitted, slots = toy()
    bank = bank_of(slots)
    people = [random_weights(bank, 4, seed=seed) for seed in (1, 2)]
    for slot, weights in enumerate(people, start=1):
        bank.load(slot, weights)
    for tensor in [*bank.down.values(), *bank.up.values()]:
        tensor.requires_grad_()
    x = torch.randn(2, 4, 8, 8)
    with slots.use(bank, [2, 2]):
        fitted.conv1(x).square().sum().backward()
    reference = with_peft(plain, "toy", people[1])
    reference.conv1(x).square().sum().backward()  # type: ignore[operator]
    down, up = bank.down["toy.conv1"].grad, bank.up["toy.conv1"].grad
    assert down is not None
    assert up is not None
    by_peft = {name: p.grad for name, p in reference.named_parameters() if "conv1.lora" in name}
    torch.testing.assert_close(down[2], by_peft["conv1.lora_A.default.weight"])
    torch.testing.assert_close(up[2], by_peft["conv1.lora_B.default.weight"].flatten(1))  # type: ignore[union-attr]
    assert not down[1].any()
    assert not up[1].any()


def test_loading_a_person_leaves_nothing_of_the_one_before() -> None:
    _, _, slots = toy()
    bank = bank_of(slots)
    address = bank.down["toy.to_q"].data_ptr()
    bank.load(1, random_weights(bank, 4, seed=1))
    second = {"toy.to_q": random_weights(bank, 2, seed=2)["toy.to_q"]}
    bank.load(1, second)
    assert bank.read(1, 4).keys() == {"toy.to_q"}
    assert not bank.down["toy.to_q"][1, 2:].any()
    assert not bank.up["toy.conv1"][1].any()
    assert bank.down["toy.to_q"].data_ptr() == address  # in place


def test_what_does_not_fit_is_refused() -> None:
    _, _, slots = toy()
    bank = bank_of(slots)
    weights = random_weights(bank, 4, seed=1)
    with pytest.raises(ValueError, match="slot 0"):
        bank.load(0, weights)
    with pytest.raises(ValueError, match="above the bank"):
        bank.load(1, random_weights(bank, 5, seed=1))
    with pytest.raises(ValueError, match="no layer"):
        bank.load(1, {"toy.elsewhere": weights["toy.to_q"]})
    with pytest.raises(ValueError, match="shapes"):
        bank.load(1, {"toy.to_q": weights["toy.conv1"]})


def test_a_new_adapter_changes_nothing_at_first(model: Resident) -> None:
    bank, _ = model.training_slot(4)
    bank.start(1, 4, torch.Generator().manual_seed(0), word=3)
    latents, timesteps = torch.randn(2, 4, 8, 8), torch.tensor([7, 500])
    with torch.no_grad():
        embeddings = model.base.encode_prompts(["a dog"] * 2)
        before = model.base.predict(latents, timesteps, embeddings)
        with model.slots.use(bank, [1]):
            torch.testing.assert_close(model.base.predict(latents, timesteps, embeddings), before)
    assert bank.read(1, 4) == {}


def test_the_layers_of_the_family_are_found(model: Resident) -> None:
    names = set(model.slots.layers)
    block = "unet.down_blocks.1.attentions.0.transformer_blocks.0"
    for name in (f"{block}.attn1.to_q", f"{block}.attn2.to_out.0", f"{block}.ff.net.0.proj", f"{block}.ff.net.2"):
        assert name in names
    for name in ("unet.mid_block.resnets.0.conv1", "unet.up_blocks.0.attentions.1.proj_out"):
        assert name in names
    for name in ("text_encoder.encoder.layers.1.self_attn.out_proj", "text_encoder.encoder.layers.0.mlp.fc2"):
        assert name in names
    assert not any(UNET_LAYERS.search(n) for n in ("conv_in", "conv_out", "time_embedding.linear_1"))
    assert not TEXT_LAYERS.search("embeddings.position_embedding")
    assert WORD_LAYER in names


def test_a_persons_word_has_a_vector_of_its_own_and_no_other_word_changes(base: BaseModel) -> None:
    plain = copy.deepcopy(base.text_encoder.get_input_embeddings())
    model = Resident(base)
    sks, rex = base.word_of("sks"), base.word_of("dog")
    for slot, word in ((1, sks), (2, rex)):
        down = torch.zeros(1, plain.num_embeddings)
        down[0, word] = 1
        model.serving.load(slot, {WORD_LAYER: (down, torch.full((plain.embedding_dim, 1), float(slot)))})
    ids = base.tokenize(["a photo of sks dog"] * 3)
    before, layer = plain(ids), base.text_encoder.get_input_embeddings()
    after = [before + (ids == sks)[..., None] * 1.0, before + (ids == rex)[..., None] * 2.0]
    assert not torch.equal(after[0], before)
    for slot in (1, 2):
        with model.slots.use(model.serving, [slot]):
            torch.testing.assert_close(layer(ids), after[slot - 1])
    with model.slots.use(model.serving, [2, 0, 1], [0.5, 1, 1]):
        mixed = layer(ids)
    half = before + (after[1] - before) / 2
    torch.testing.assert_close(mixed, torch.stack([half[0], before[1], after[0][2]]))
