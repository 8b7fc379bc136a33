"""Small models of each family, and passes over them, for the tests of builders."""

from hwsim.workload.model import HybridModel, Mamba1Model, Mamba2Model, Pass, TransformerModel

TINY = {
    "mamba1": Mamba1Model(d_model=64, layers=2, vocab=96),
    "mamba2": Mamba2Model(d_model=64, layers=2, vocab=96, d_state=16, head_dim=16, groups=2, chunk=4),
    "transformer": TransformerModel(d_model=64, layers=2, heads=4, kv_heads=2, d_ff=96, vocab=96),
    "qk_norm": TransformerModel(64, 2, 4, 2, 96, 96, head_dim=32, qk_norm=True, window=8),
    "gpt": TransformerModel(
        64, 2, 4, 4, 96, 96, norm="layernorm", mlp="plain", activation="gelu", position="learned", max_positions=32,
        attention_bias=True, output_bias=True, mlp_bias=True, fused_qkv=True, tied_head=True,
    ),
    "moe": TransformerModel(64, 2, 4, 2, 96, 96, experts=4, experts_per_token=2),
    "gemma": TransformerModel(64, 4, 4, 2, 96, 96, post_norm=True, window=4, window_pattern=("window", "full")),
    "shared": TransformerModel(
        64, 3, 4, 2, 96, 96, experts=4, experts_per_token=2, shared_d_ff=32, shared_gate=True, dense_layers=1,
        dense_d_ff=80, sinks=True, mlp_bias=True,
    ),
    "latent": TransformerModel(
        64, 3, 4, 4, 48, 96, experts=4, experts_per_token=2, shared_d_ff=32, dense_layers=1, dense_d_ff=80,
        router="sigmoid", kv_lora_rank=24, q_lora_rank=16, qk_nope_head_dim=12, qk_rope_head_dim=4, v_head_dim=10,
    ),
    "latent direct": TransformerModel(
        64, 2, 4, 4, 96, 96, kv_lora_rank=24, qk_nope_head_dim=12, qk_rope_head_dim=4, v_head_dim=10, absorb="always",
    ),
    "latent expanded": TransformerModel(
        64, 2, 4, 4, 96, 96, kv_lora_rank=24, qk_nope_head_dim=12, qk_rope_head_dim=4, v_head_dim=10, absorb="never",
    ),
    "falcon": Mamba1Model(d_model=64, layers=2, vocab=96, ssm_norms=True),
    "nemotron": HybridModel(
        64, 4, 4, 2, 96, 96, pattern=("mamba2", "attention"), mlp_pattern=("none", "mlp"), mlp="plain",
        activation="relu2", ssm_head_dim=16,
    ),
    "qwen3-next": HybridModel(
        64, 4, 4, 2, 96, 96, pattern=("gdn", "attention"), mlp_pattern=("moe",), head_dim=32, qk_norm=True,
        attention_gate=True, key_heads=2, key_dim=8, value_heads=4, value_dim=16, conv_bias=False, experts=4,
        experts_per_token=2, shared_d_ff=32, shared_gate=True,
    ),
    "linear": HybridModel(64, 4, 4, 4, 96, 96, pattern=("linear", "attention")),
    "granite": HybridModel(
        64, 4, 4, 2, 96, 96, pattern=("mamba2", "attention"), mlp_pattern=("moe",), experts=4, experts_per_token=2,
        shared_d_ff=32, ssm_head_dim=16,
    ),
    "hybrid": HybridModel(
        64, 4, 4, 2, 96, 96, pattern=("mamba1", "attention", "mamba2", "mamba2"),
        mlp_pattern=("mlp", "moe", "none", "mlp"), experts=4, experts_per_token=1, ssm_norms=True,
        position="none", ssm_head_dim=16,
    ),
}  # fmt: skip
PASSES = (Pass("decode", 2, 1, 7), Pass("decode", 1, 5, 3), Pass("prefill", 2, 6), Pass("prefill", 1, 1))
